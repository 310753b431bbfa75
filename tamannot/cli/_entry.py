"""The way in: from its first moment on, Ctrl-C ends a command in one line."""

from __future__ import annotations

import os
import signal
import sys
from types import TracebackType
from typing import Any

from tamannot._interruption import Interruption

# 128 and the number of the signal, as shells have it.
_INTERRUPTED = 130


def main() -> None:
    """Run the command line as a process of its own; after Ctrl-C nothing is half-done, and the exit code is 130."""
    interruption = Interruption(signal.SIGINT, KeyboardInterrupt)
    # Where it is not as Python sets it, who started this process wants it not to hear Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        sys.excepthook = _tell
        interruption.listen()
    code: Any = _INTERRUPTED
    try:
        from tamannot.cli._main import main as run  # noqa: PLC0415 - Ctrl-C is heard during the imports, too

        run()
    except SystemExit as stop:
        code = stop.code
    except KeyboardInterrupt:
        pass
    interruption.end()
    if code == _INTERRUPTED:
        _clear_up()
        print("tamannot: interrupted.", file=sys.stderr, flush=True)
        os._exit(_INTERRUPTED)  # without waiting for threads that still compute; Python itself may forget the code
    sys.exit(code)


def _clear_up() -> None:
    """Remove what is half-written if the interruption came where that is done itself."""
    if "tamannot.stream._claim" in sys.modules:
        from tamannot.stream._claim import abandon  # noqa: PLC0415 - where it was not needed nothing was written

        abandon()


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say of an interruption at the very end of a command only that it was one."""
    if issubclass(kind, KeyboardInterrupt):
        print("tamannot: interrupted.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
