"""The command line. From its first moment on, Ctrl-C, SIGTERM or SIGHUP ends a command in one line."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any

from tamannot._progress import ENDING, Interruption

__all__ = ["main"]

# What Typer makes of a `KeyboardInterrupt`.
_INTERRUPTED = 130
# Shells add the number of the signal.
_BY_SIGNAL = 128


def main() -> None:
    """Run the command line as a separate process.

    After Ctrl-C, SIGTERM or SIGHUP nothing is half-done, and the exit code is 130, 143 or 129.
    """
    interruption = Interruption(ENDING)
    sys.excepthook = _tell
    interruption.listen()
    code: Any = _INTERRUPTED
    try:
        from tamannot.cli._main import main as run  # noqa: PLC0415 - signals are heard during the imports, too

        run()
    except SystemExit as stop:
        code = stop.code
    except KeyboardInterrupt:
        pass
    interruption.end()
    if code == _INTERRUPTED:
        if "tamannot.io._output" in sys.modules:  # the interruption may have come where locks are released
            from tamannot.io._output import release_locks  # noqa: PLC0415 - where it was not needed nothing was written

            release_locks()
        by = "" if interruption.received == signal.SIGINT else f" by {interruption.received.name}"
        with suppress(OSError):  # the terminal may be gone
            print(f"tamannot: interrupted{by}.", file=sys.stderr, flush=True)
        # Without waiting for threads that still compute; Python itself may forget the code.
        os._exit(_BY_SIGNAL + interruption.received)
    sys.exit(code)


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say of an interruption at the very end of a command only that it was one."""
    if issubclass(kind, KeyboardInterrupt):
        print("tamannot: interrupted.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
