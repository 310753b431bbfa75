"""How a run tells how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from threading import Lock
from typing import TextIO

from tamannot._printable import printable

Tick = Callable[[int], None]

# In a terminal the line is renewed, elsewhere another one follows now and then.
_RENEW = 0.2
_AGAIN = 30.0


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
        if now - self._last < (_RENEW if live else _AGAIN):
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
