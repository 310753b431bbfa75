"""Blocks of rows on threads."""

from __future__ import annotations

import numpy as np
import pytest

from tamannot import _settings
from tamannot._settings import available_threads, in_order

STEP = 16


@pytest.fixture
def eight_cores(monkeypatch, tmp_path):
    for name in ("TAMANNOT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_settings.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(_settings, "_QUOTA", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("n_rows", [0, 1, STEP - 1, STEP, STEP + 1, 5 * STEP + 7])
def test_each_row_is_visited_once(n_rows, threads):
    visits = np.zeros(n_rows, int)

    def work(start, stop):
        visits[start:stop] += 1

    list(in_order(work, n_rows, threads=threads, step=STEP))
    assert (visits == 1).all()


@pytest.mark.parametrize("threads", [1, 4])
def test_blocks_are_never_empty_nor_longer_than_a_step(threads):
    sizes = []
    list(in_order(lambda start, stop: sizes.append(stop - start), 3 * STEP + 1, threads=threads, step=STEP))
    assert sorted(sizes) == [1, STEP, STEP, STEP]


@pytest.mark.parametrize("threads", [1, 2])
def test_error_in_a_block_reaches_the_caller(threads):
    def work(start, stop):
        if start:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_order(work, 2 * STEP, threads=threads, step=STEP))


@pytest.mark.usefixtures("eight_cores")
def test_threads_are_the_cores_allowed_by_affinity():
    assert available_threads() == 8


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize("name", ["TAMANNOT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"])
def test_environment_lowers_the_threads(monkeypatch, name):
    monkeypatch.setenv(name, "3")
    assert available_threads() == 3


@pytest.mark.usefixtures("eight_cores")
def test_environment_does_not_raise_the_threads(monkeypatch):
    monkeypatch.setenv("TAMANNOT_NUM_THREADS", "64")
    assert available_threads() == 8


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize("value", ["", "0", "-2", "many", "2.5"])
def test_senseless_environment_is_ignored(monkeypatch, value):
    monkeypatch.setenv("TAMANNOT_NUM_THREADS", value)
    assert available_threads() == 8


@pytest.mark.parametrize(
    ("quota", "threads"), [("max 100000", 8), ("200000 100000", 2), ("350000 100000", 3), ("50000 100000", 1), ("", 8)]
)
def test_container_quota_lowers_the_threads(eight_cores, quota, threads):
    eight_cores.write_text(quota + "\n")
    assert available_threads() == threads
