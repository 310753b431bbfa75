"""A signal ends what runs wherever it arrives, also where Python loses what is raised."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from tamannot._progress import Interruption
from tamannot.io._containers import changing

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")


@pytest.fixture
def interruption(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.getsignal(signal.SIGUSR1)
    found = Interruption([signal.SIGUSR1])
    found.listen()
    yield found
    signal.signal(signal.SIGUSR1, before)


def come() -> None:
    signal.raise_signal(signal.SIGUSR1)
    for _ in range(3):  # where Python looks for signals
        time.sleep(0)


@pytest.mark.usefixtures("interruption")
def test_it_is_raised_and_a_second_one_does_not_disturb():
    with pytest.raises(KeyboardInterrupt):
        come()
    come()


class Leaving:
    def __del__(self) -> None:
        come()


@pytest.mark.usefixtures("interruption")
def test_what_a_destructor_loses_is_raised_again():
    leaving = Leaving()
    with pytest.raises(KeyboardInterrupt):
        del leaving
        time.sleep(5)


class Failing:
    def __del__(self) -> None:
        raise ZeroDivisionError


@pytest.mark.usefixtures("interruption")
def test_while_another_loss_is_told_it_waits(monkeypatch):
    told = []

    def tell(lost) -> None:
        come()
        told.append(lost.exc_type)

    monkeypatch.setattr(sys, "__unraisablehook__", tell)
    failing = Failing()
    with pytest.raises(KeyboardInterrupt):
        del failing
        time.sleep(5)
    assert told == [ZeroDivisionError]


def test_after_the_end_nothing_is_heard(interruption):
    interruption.end()
    come()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_what_is_not_as_python_sets_it_stays(monkeypatch):
    """As under ``nohup``."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        Interruption([signal.SIGUSR1]).listen()
        come()
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_which_signal_came_is_known(interruption):
    with pytest.raises(KeyboardInterrupt):
        come()
    assert interruption.received == signal.SIGUSR1


def test_a_zarr_folder_takes_nothing_after_its_end(tmp_path):
    """zarr's threads go on after Ctrl-C, and would make the folder again that was removed."""
    with pytest.raises(KeyboardInterrupt), changing(tmp_path / "x.zarr", new=True) as root:
        array = root.create_array("a", shape=(4,), chunks=(2,), dtype="f4")
        array[:2] = 1
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="is full or read-only"):
        array[2:] = 1
