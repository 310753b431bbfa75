"""Load: files in a row, runs side by side, and Ctrl-C at any moment."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import tamannot as tam

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::Warning")]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
FILES = int(os.environ.get("TAMANNOT_TEST_FILES", "200"))
# What the allocator may keep; without a leak a run of this file keeps nothing, and a copy of the input is 2 MB.
SLACK = 60 << 20


@pytest.fixture
def small(example: ad.AnnData, tmp_path: Path) -> Path:
    example[:40].copy().write_h5ad(tmp_path / "in.h5ad", compression="gzip")
    return tmp_path / "in.h5ad"


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@LINUX
def test_files_in_a_row_leave_nothing_behind(small, tmp_path):
    def once() -> None:
        tam.annotate_file(small, tmp_path / "out.h5ad", table=tmp_path / "t.csv", overwrite=True)

    for _ in range(FILES // 10):
        once()
    memory, files = resident(), open_files()
    for _ in range(FILES - FILES // 10):
        once()
    assert open_files() <= files
    assert resident() < memory + SLACK
    assert {p.name for p in tmp_path.iterdir()} == {"in.h5ad", "out.h5ad", "t.csv"}


@LINUX
def test_refused_files_in_a_row_leave_nothing_behind(small, tmp_path):
    small.write_bytes(small.read_bytes()[:20_000])

    def once() -> None:
        with pytest.raises(tam.errors.InputFileError):
            tam.annotate_file(small, tmp_path / "out.h5ad")

    once()
    memory, files = resident(), open_files()
    for _ in range(FILES):
        once()
    assert open_files() <= files
    assert resident() < memory + SLACK
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


def started(*words: object, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tamannot", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env)


def test_two_processes_fill_one_cache_at_once(small, tmp_path):
    """Kernels are compiled by both at the same time, into an empty folder; both finish, with the same results."""
    cache = str(tmp_path / "cache")
    both = [started("annotate", small, "--table", tmp_path / f"{i}.csv", NUMBA_CACHE_DIR=cache) for i in range(2)]
    for process in both:
        _, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
    assert any(Path(cache).rglob("*.nbi"))
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


@POSIX
@pytest.mark.parametrize("moment", range(4))
def test_ctrl_c_leaves_nothing_half_done(example_file, tmp_path, moment):
    began = time.monotonic()
    process = started("annotate", example_file, "-o", tmp_path / "whole.h5ad")
    process.communicate()
    whole = time.monotonic() - began
    out = tmp_path / "out.h5ad"
    process = started("annotate", example_file, "-o", out)
    # Before the first line of ours runs, Python itself ends with a traceback: a little later.
    time.sleep(float(np.random.default_rng(moment).uniform(0.25, 0.95)) * whole)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=60)
    left = {p.name for p in tmp_path.iterdir()} - {"whole.h5ad"}
    if process.returncode == 0:  # it was done before
        assert left == {"out.h5ad"}
        assert ad.read_h5ad(out).n_obs == 184
        return
    assert process.returncode in (130, -signal.SIGINT), err
    assert "Traceback" not in err
    assert len([line for line in (said + err).splitlines() if line.strip()]) <= 1
    assert left == set()
