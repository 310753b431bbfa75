"""The way in: from its first moment on, Ctrl-C ends a command in one line."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

# 128 and the number of the signal, as shells have it.
_INTERRUPTED = 130
# Clearing up is not disturbed for so long, in seconds, by an impatient second Ctrl-C.
_PATIENCE = 10.0
# Until an interruption that Python could not pass on is raised once more, in seconds.
_AGAIN = 0.01


class _Interruption:
    """Raises `KeyboardInterrupt` for a Ctrl-C, wherever it arrives, and sees to it that it is not lost."""

    def __init__(self) -> None:
        self._deaf_until = 0.0
        self._hears = False

    def listen(self) -> None:
        """Hear Ctrl-C from now on, unless the one who started this process wants it not to."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._hears = True
            signal.signal(signal.SIGINT, self._hear)
            sys.unraisablehook, sys.excepthook = self._raise_again, _tell

    def end(self) -> None:
        """Hear nothing more: all is done, and Python's own end must not be disturbed."""
        self._deaf_until = float("inf")
        if self._hears:  # by the system as well: at its very end Python forgets what it was told
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now >= self._deaf_until:
            self._deaf_until = now + _PATIENCE
            raise KeyboardInterrupt

    def _raise_again(self, lost: Any) -> None:
        """Take what was raised where nothing can be raised: in a destructor, or between Python and C."""
        if lost.exc_type is None or not issubclass(lost.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(lost)
        else:
            self._deaf_until = 0.0
            threading.Timer(_AGAIN, _thread.interrupt_main).start()


def main() -> None:
    """Run the command line as a process of its own; after Ctrl-C nothing is half-done, and the exit code is 130."""
    interruption = _Interruption()
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
