"""Progress with a clock and a stream of our own."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import anndata
import numpy as np
import pytest

import tamannot as tam
from tamannot import _progress
from tamannot._progress import Progress, compiling, no_tick, silent


class Stream(io.StringIO):
    """A stream that may be a terminal, and counts what is written."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Run:
    """A progress whose time goes by on command."""

    def __init__(self, *, terminal: bool = False, **choices) -> None:
        self.now = 1000.0
        self.stream = Stream(terminal=terminal)
        self.progress = Progress(stream=self.stream, clock=lambda: self.now, **choices)

    def after(self, seconds: float, cells: int = 0) -> str:
        """Let time go by, then tick; return what that wrote."""
        self.now += seconds
        before = len(self.stream.getvalue())
        self.progress.tick(cells)
        return self.stream.getvalue()[before:]

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_short_runs_are_silent(terminal):
    run = Run(terminal=terminal)
    run.progress("scoring", 1000)
    for _ in range(49):
        assert run.after(0.1, 10) == ""
    run.progress.close()
    assert run.text == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_after_five_seconds_there_is_a_line(terminal):
    run = Run(terminal=terminal)
    run.progress("scoring", 1000)
    assert run.after(4.9, 100) == ""
    assert "tamannot: scoring, 20%, 40 cells/s, 0:20 left" in run.after(0.1, 100)


def test_a_terminal_renews_its_line_five_times_a_second():
    run = Run(terminal=True)
    run.progress("scoring", 100_000)
    assert run.after(10, 10_000).startswith("\r")
    assert run.after(0.1, 1) == ""
    line = run.after(0.1, 9_999)
    assert line.startswith("\rtamannot: scoring, 20%")
    assert "\n" not in run.text


def test_a_shorter_line_covers_the_longer_one():
    run = Run(terminal=True)
    run.progress("expression bins", 100_000)
    longest = len(run.after(10, 10_000)) - 1
    run.now += 1
    before = len(run.text)
    run.progress("writing")
    assert run.text[before:] == "\r" + "tamannot: writing".ljust(longest)


def test_close_wipes_the_terminal():
    run = Run(terminal=True)
    run.progress("scoring", 1000)
    width = len(run.after(10, 500)) - 1
    before = len(run.text)
    run.progress.close()
    assert run.text[before:] == "\r" + " " * width + "\r"
    run.progress.close()
    assert len(run.text) == before + width + 2


def test_elsewhere_a_line_follows_every_thirty_seconds():
    run = Run()
    run.progress("scoring", 100_000)
    for _ in range(100):
        run.after(1, 100)
    run.progress.close()
    lines = run.text.splitlines()
    assert [line.split(", ")[1] for line in lines] == ["0%", "4%", "6%", "10%"]  # after 5, 35, 65 and 95 s
    assert run.text.count("\n") == 4
    assert "\r" not in run.text


def test_new_stages_bring_no_more_lines():
    run = Run()
    run.progress("reading")
    run.after(6)
    for stage in ("bins", "scoring", "writing"):
        run.now += 1
        run.progress(stage)
    assert run.text == "tamannot: reading\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_show_false_never_shows(terminal):
    run = Run(terminal=terminal, show=False, after=0)
    run.progress("scoring", 10)
    run.after(100, 5)
    run.progress.close()
    assert run.text == ""


def test_silent_and_no_tick_say_nothing(capsys):
    progress = silent()
    progress("scoring", 10)
    progress.tick(5)
    progress.close()
    no_tick(5)
    assert capsys.readouterr() == ("", "")


def test_a_process_without_stderr_can_be_silent(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    progress = silent()
    progress("scoring", 10)
    progress.tick(10)
    progress.close()


def test_the_stream_is_stderr(capsys):
    progress = Progress(after=0)
    progress("reading")
    assert capsys.readouterr() == ("", "tamannot: reading\n")


@pytest.mark.parametrize(
    ("total", "done", "seconds", "line"),
    [
        (1000, 250, 10, "scoring, 25%, 25 cells/s, 0:30 left"),
        (1_000_000, 10_000, 10, "scoring, 1%, 1,000 cells/s, 16:30 left"),
        (10_000_000, 10_000, 10, "scoring, 0%, 1,000 cells/s, 2:46:30 left"),
        (1000, 1000, 10, "scoring, 100%, 100 cells/s, 0:00 left"),
        (1000, 1500, 10, "scoring, 100%, 150 cells/s, 0:00 left"),
        (1000, 0, 10, "scoring"),
        (0, 50, 10, "scoring"),
    ],
)
def test_rates_and_time_left(total, done, seconds, line):
    run = Run()
    run.progress("scoring", total)
    assert run.after(seconds, done) == f"tamannot: {line}\n"


def test_rates_are_those_of_the_stage():
    run = Run()
    run.progress("bins", 100)
    run.now += 100
    run.progress.tick(100)
    run.now += 30
    run.progress("scoring", 1000)
    assert run.after(30, 300).endswith("scoring, 30%, 10 cells/s, 1:10 left\n")


def test_seconds_of_each_stage_are_kept():
    run = Run()
    for stage, seconds in (("reading", 2), ("scoring", 3), ("reading", 4)):
        run.progress(stage)
        run.now += seconds
    run.progress.close()
    run.progress.close()
    assert run.progress.seconds == {"reading": 6.0, "scoring": 3.0}


def test_ticks_of_many_threads_are_all_counted():
    run = Run()
    run.progress("scoring", 80_000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [run.progress.tick(1) for _ in range(1000)], range(80)))
    assert "scoring, 100%, 8,000 cells/s" in run.after(10)


def test_compiling_is_said_and_left_out_of_the_rate():
    run = Run()
    run.progress("scores", 184)
    run.now += 6
    compiling(begins=True)
    assert run.text == "tamannot: scores, compiling (first run)\n"
    run.now += 20
    compiling(begins=False)
    run.now += 29
    assert run.after(17, 92) == "tamannot: scores, 50%, 2 cells/s, 0:46 left\n"
    run.progress.close()
    compiling(begins=True)
    assert run.text.count("compiling") == 1


def test_a_run_that_fails_ends_its_progress():
    before = set(_progress._RUNNING)
    with pytest.raises(tam.errors.TamannotError):
        tam.tl.annotate(anndata.AnnData(np.ones((3, 3), np.float32)))
    assert before == _progress._RUNNING
