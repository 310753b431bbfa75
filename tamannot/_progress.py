"""How a run tells how far it is, and how a signal ends it."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from threading import Lock
from types import FrameType
from typing import Any, TextIO

from tamannot.errors import printable

Tick = Callable[[int], None]

# In a terminal the line is renewed, elsewhere another one follows now and then.
_RENEW_EVERY = 0.2
_NEXT_LINE_EVERY = 30.0


def no_tick(_n: int) -> None:
    """Tell nobody."""


def silent() -> Progress:
    """Return one that never shows anything."""
    return Progress(show=False)


class Progress:
    """Shows the stage of a long run on stderr, with cells per second and time left.

    Parameters
    ----------
    show
        False never shows anything; None and True do, None as the default of the settings.
    after
        Seconds that a run is silent for.
    stream
        Where to; None is stderr.
    clock
        Seconds, monotone.
    """

    def __init__(
        self,
        *,
        show: bool | None = None,
        after: float = 5.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show, self._after = show is not False, after
        self._stream, self._clock, self._lock = stream, clock, Lock()
        self._begun = self._stage_begun = clock()
        self._stage, self._total, self._done = "", 0, 0
        self._last, self._width = -1e9, 0
        self.seconds: dict[str, float] = {}
        """Time of each stage that has ended."""

    def __call__(self, stage: str, total: int = 0) -> None:
        """Begin a stage of ``total`` cells; 0 if it is not counted in cells."""
        with self._lock:
            self._end_stage()
            self._stage, self._total, self._done = stage, total, 0
            self._stage_begun = self._clock()
            self._tell()

    def tick(self, n: int) -> None:
        """Say that ``n`` more cells are done; any thread may."""
        with self._lock:
            self._done += n
            self._tell()

    def close(self) -> None:
        """End the last stage and wipe the line from the terminal."""
        with self._lock:
            self._end_stage()
            self._stage = ""
            if self._width:
                self._write("\r" + " " * self._width + "\r")
                self._width = 0

    def _end_stage(self) -> None:
        if self._stage:
            spent = self._clock() - self._stage_begun
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + spent

    def _tell(self) -> None:
        now = self._clock()
        if not self._show or now - self._begun < self._after:
            return
        live = self._out().isatty()
        if now - self._last < (_RENEW_EVERY if live else _NEXT_LINE_EVERY):
            return
        self._last = now
        line = printable(self._line(now))
        if live:
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._write(line + "\n")

    def _line(self, now: float) -> str:
        if not self._total or not self._done:
            return f"tamannot: {self._stage}"
        speed = self._done / max(now - self._stage_begun, 1e-9)
        left = max(self._total - self._done, 0) / speed
        share = min(self._done / self._total, 1.0)
        return f"tamannot: {self._stage}, {share:.0%}, {speed:,.0f} cells/s, {_clock_time(left)} left"

    def _out(self) -> TextIO:
        return self._stream or sys.stderr

    def _write(self, text: str) -> None:
        out = self._out()
        out.write(text)
        out.flush()


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


# Ctrl-C, what batch schedulers and `kill` send, and what a terminal sends when it is closed; Windows has no SIGHUP.
ENDING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Clearing up is not disturbed for so long, in seconds, by an impatient second signal.
_PATIENCE = 10.0
# Until what Python could not pass on is raised once more, in seconds.
_RETRY_AFTER = 0.01


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
        threading.Timer(_RETRY_AFTER, _send, [self.received]).start()


def _send(number: signal.Signals) -> None:
    """Send a signal to the main thread, and wake it if it waits."""
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(main, number)
