"""The command line, run by the tests in their own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

import tamannot as tam
from tamannot._progress import Progress
from tamannot.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., object]]:
    """Run the command line; return exit code, stdout and stderr.

    Its progress knows no time, so that a busy machine does not make it speak.
    """
    monkeypatch.setattr("tamannot.cli._show.Progress", partial(Progress, clock=lambda: 0.0))

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tamannot", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    yield call
    tam.settings.threads = None
