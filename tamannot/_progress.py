"""The progress line of a long run, and how signals end a run."""

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

from tamannot.errors import logger, printable

Tick = Callable[[int], None]

# In a terminal the line is updated in place; elsewhere a new line is printed now and then.
_RENEW_EVERY, _NEXT_LINE_EVERY = 0.2, 30.0

_RUNNING: set[Progress] = set()


def no_tick(_n: int) -> None:
    """Report nothing."""


def silent() -> Progress:
    """Return a progress that never shows anything."""
    return Progress(show=False)


def compiling(*, begins: bool) -> None:
    """Tell the runs that show their progress that a kernel begins or ends compiling."""
    for progress in tuple(_RUNNING):
        progress.compile(begins=begins)


class Progress:
    """Show the stage of a long run on stderr, with cells per second and the time left, ``after`` so many seconds.

    ``show`` is a setting: None is True. ``stream`` None is stderr; ``clock`` is monotonic, in seconds.
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
        self._n_compiling, self._timed_from, self._done_before = 0, self._begun, 0
        self.seconds: dict[str, float] = {}  # that each finished stage took

    def __call__(self, stage: str, total: int = 0) -> None:
        """Begin a stage of ``total`` cells; 0 if it is not counted in cells."""
        with self._lock:
            self._end_stage()
            self._stage, self._total, self._done = stage, total, 0
            self._stage_begun = self._timed_from = self._clock()
            self._done_before = 0
            if self._show:
                _RUNNING.add(self)
            self._tell()

    def tick(self, n: int) -> None:
        """Count ``n`` more cells as done; any thread may call this."""
        with self._lock:
            self._done += n
            self._tell()

    def compile(self, *, begins: bool) -> None:
        """Note that a kernel begins or ends compiling: the rate counts from there."""
        with self._lock:
            self._n_compiling = max(self._n_compiling + (1 if begins else -1), 0)
            self._tell()
            self._timed_from, self._done_before = self._clock(), self._done

    def close(self) -> None:
        """End the last stage and clear the line in the terminal."""
        with self._lock:
            _RUNNING.discard(self)
            self._end_stage()
            self._stage = ""
            if self._width:
                self._write("\r" + " " * self._width + "\r")
                self._width = 0

    def _end_stage(self) -> None:
        if self._stage:
            spent = self._clock() - self._stage_begun
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + spent
            logger.debug("%s: %.1f s", printable(self._stage), spent)

    def _tell(self) -> None:
        now = self._clock()
        if not self._show or now - self._begun < self._after:
            return
        live = (self._stream or sys.stderr).isatty()
        if now - self._last < (_RENEW_EVERY if live else _NEXT_LINE_EVERY):
            return
        self._last = now
        line, timed = f"tamannot: {printable(self._stage)}", self._done - self._done_before
        if self._n_compiling:
            line += ", compiling (first run)"
        elif self._total and timed > 0:
            speed = timed / max(now - self._timed_from, 1e-9)
            minutes, seconds = divmod(round(max(self._total - self._done, 0) / speed), 60)
            left = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
            line += f", {min(self._done / self._total, 1.0):.0%}, {speed:,.0f} cells/s, {left} left"
        if live:
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        out = self._stream or sys.stderr
        out.write(text)
        out.flush()


# Ctrl-C, the signal of batch schedulers and `kill`, and that of a closed terminal; Windows has no SIGHUP.
ENDING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# So many seconds a second signal does not interrupt the clean-up; after so many a lost signal is raised again.
_PATIENCE, _RETRY_AFTER = 10.0, 0.01


class Interruption:
    """Raise `KeyboardInterrupt` in the main thread when one of some signals arrives, so that it is not lost."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self.received = signal.SIGINT  # the most recent signal
        self._deaf_until = 0.0
        self._heard: list[signal.Signals] = []

    def listen(self) -> None:
        """Handle the signals, but those whose handler is not Python's default: a parent like ``nohup`` set it."""
        for number in self._numbers:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._hear)
                self._heard.append(number)
        sys.unraisablehook = self._raise_again

    def end(self) -> None:
        """Ignore the signals from now on, so that Python can exit undisturbed."""
        self._deaf_until = float("inf")
        for number in self._heard:  # at the system level as well: Python drops its handlers when it exits
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now < self._deaf_until:
            return
        self.received = signal.Signals(number)
        while frame is not None:
            if frame.f_code is Interruption._raise_again.__code__:  # an exception would be lost there
                threading.Timer(_RETRY_AFTER, _send, [self.received]).start()
                return
            frame = frame.f_back
        self._deaf_until = now + _PATIENCE
        raise KeyboardInterrupt

    def _raise_again(self, lost: Any) -> None:
        """Handle exceptions from places that cannot raise: destructors, and code between Python and C."""
        if lost.exc_type is None or not issubclass(lost.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(lost)
        elif self._deaf_until < float("inf"):
            self._deaf_until = 0.0
            threading.Timer(_RETRY_AFTER, _send, [self.received]).start()


def _send(number: signal.Signals) -> None:
    """Send a signal to the main thread, and wake it if it is waiting."""
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(main, number)
