"""A signal that ends what runs, wherever it arrives, and lets it clear up."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import Any

# Ctrl-C, what batch schedulers and `kill` send, and what a terminal sends when it is closed; Windows has no SIGHUP.
ENDING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Clearing up is not disturbed for so long, in seconds, by an impatient second signal.
_PATIENCE = 10.0
# Until what Python could not pass on is raised once more, in seconds.
_AGAIN = 0.01


class Interruption:
    """Raises `KeyboardInterrupt` in the main thread when a signal comes, and sees to it that it is not lost.

    Parameters
    ----------
    numbers
        The signals.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self.received = signal.SIGINT
        """The signal that came last."""
        self._deaf_until = 0.0
        self._heard: list[signal.Signals] = []

    def listen(self) -> None:
        """Hear the signals from now on.

        One that is not as Python sets it stays: who started this process, as ``nohup`` does, wants it not to hear it.
        """
        for number in self._numbers:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._hear)
                self._heard.append(number)
        sys.unraisablehook = self._raise_again

    def end(self) -> None:
        """Hear nothing more: all is done, and Python's own end must not be disturbed."""
        self._deaf_until = float("inf")
        for number in self._heard:  # by the system as well: at its very end Python forgets what it was told
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now < self._deaf_until:
            return
        self.received = signal.Signals(number)
        if self._is_hook(frame):
            self._later()
            return
        self._deaf_until = now + _PATIENCE
        raise KeyboardInterrupt

    def _is_hook(self, frame: FrameType | None) -> bool:
        """Return whether Python was at `_raise_again`: what is raised there is lost for good."""
        while frame is not None and frame.f_code is not Interruption._raise_again.__code__:
            frame = frame.f_back
        return frame is not None

    def _raise_again(self, lost: Any) -> None:
        """Take what was raised where nothing can be raised: in a destructor, or between Python and C."""
        if lost.exc_type is None or not issubclass(lost.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(lost)
        elif self._deaf_until < float("inf"):
            self._deaf_until = 0.0
            self._later()

    def _later(self) -> None:
        threading.Timer(_AGAIN, _send, [self.received]).start()


def _send(number: signal.Signals) -> None:
    """Send a signal to the main thread, and wake it if it waits."""
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(main, number)
