"""A signal that ends what runs, wherever it arrives, and lets it clear up."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

# Clearing up is not disturbed for so long, in seconds, by an impatient second signal.
_PATIENCE = 10.0
# Until what Python could not pass on is raised once more, in seconds.
_AGAIN = 0.01


class Interruption:
    """Raises an exception in the main thread when a signal comes, and sees to it that it is not lost.

    Parameters
    ----------
    number
        The signal.
    make
        Makes what is raised: `KeyboardInterrupt` or `SystemExit`.
    """

    def __init__(self, number: signal.Signals, make: Callable[[], BaseException]) -> None:
        self._number, self._make = number, make
        self._deaf_until = 0.0
        self._hears = False

    def listen(self) -> None:
        """Hear the signal from now on."""
        self._hears = True
        signal.signal(self._number, self._hear)
        sys.unraisablehook = self._raise_again

    def end(self) -> None:
        """Hear nothing more: all is done, and Python's own end must not be disturbed."""
        self._deaf_until = float("inf")
        if self._hears:  # by the system as well: at its very end Python forgets what it was told
            signal.signal(self._number, signal.SIG_IGN)

    def _hear(self, _number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now < self._deaf_until:
            return
        if self._is_hook(frame):
            self._later()
            return
        self._deaf_until = now + _PATIENCE
        raise self._make()

    def _is_hook(self, frame: FrameType | None) -> bool:
        """Return whether Python was at `_raise_again`: what is raised there is lost for good."""
        while frame is not None and frame.f_code is not Interruption._raise_again.__code__:
            frame = frame.f_back
        return frame is not None

    def _raise_again(self, lost: Any) -> None:
        """Take what was raised where nothing can be raised: in a destructor, or between Python and C."""
        if lost.exc_type is None or not issubclass(lost.exc_type, KeyboardInterrupt | SystemExit):
            sys.__unraisablehook__(lost)
        elif self._deaf_until < float("inf"):
            self._deaf_until = 0.0
            self._later()

    def _later(self) -> None:
        threading.Timer(_AGAIN, _send, [self._number]).start()


def _send(number: signal.Signals) -> None:
    """Send a signal to the main thread, and wake it if it waits."""
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(main, number)
