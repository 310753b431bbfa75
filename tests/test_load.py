"""Load: files in a row, runs side by side, and Ctrl-C, SIGTERM and SIGHUP at any moment."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import tamannot as tam
from tamannot.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::Warning")]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
# More files, and more moments of a signal, are asked for by these.
FILES = int(os.environ.get("TAMANNOT_TEST_FILES", "4"))
MOMENTS = int(os.environ.get("TAMANNOT_TEST_INTERRUPTS", "1"))
# What the allocator may keep; without a leak a run of this file keeps nothing, and a copy of the input is 2 MB.
SLACK = 60 << 20


@pytest.fixture
def small(quick_file: Path, tmp_path: Path) -> Path:
    ad.read_h5ad(quick_file)[:40].copy().write_h5ad(tmp_path / "in.h5ad", compression="gzip")
    return tmp_path / "in.h5ad"


def held() -> dict[str, int]:
    """Return what a process may leak: memory in bytes, open files, threads, and things that Python keeps alive."""
    gc.collect()
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "memory": int(status["VmRSS"].split()[0]) << 10,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": int(status["Threads"]),
        "things": len(gc.get_objects()),
    }


def does_not_grow(before: dict[str, int], after: dict[str, int], *, times: int) -> None:
    assert after["memory"] < before["memory"] + SLACK
    assert after["files"] <= before["files"]
    assert after["threads"] <= before["threads"]
    # One thing that holds the data would be hundreds a file.
    assert after["things"] < before["things"] + 20 * times


@LINUX
def test_files_in_a_row_leave_nothing_behind(small, tmp_path):
    def once() -> None:
        tam.annotate_file(small, tmp_path / "out.h5ad", table=tmp_path / "t.csv", overwrite=True)

    for _ in range(2):
        once()
    before = held()
    for _ in range(FILES - 2):
        once()
    does_not_grow(before, held(), times=FILES - 2)
    assert {p.name for p in tmp_path.iterdir()} == {"in.h5ad", "out.h5ad", "t.csv"}


@LINUX
def test_refused_files_in_a_row_leave_nothing_behind(small, tmp_path):
    small.write_bytes(small.read_bytes()[:20_000])

    def once() -> None:
        with pytest.raises(tam.errors.InputFileError):
            tam.annotate_file(small, tmp_path / "out.h5ad")

    for _ in range(3):
        once()
    before = held()
    for _ in range(100):
        once()
    does_not_grow(before, held(), times=100)
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


_A_KERNEL = """
import numpy as np
from tamannot.scoring._ranks import longest_row
print(longest_row(np.array([0, 1, 3])))
"""


def test_processes_fill_one_cache_at_once(tmp_path):
    """A kernel is compiled by two at the same time, into an empty folder; both finish, and a third one uses it."""
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": env}
    processes = [subprocess.Popen([sys.executable, "-c", _A_KERNEL], **pipes) for _ in range(2)]
    assert [process.communicate(timeout=300) for process in processes] == [("2\n", "")] * 2
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    assert sorted(p.suffix for p in files) == [".nbc", ".nbi"]
    again = subprocess.run([sys.executable, "-c", _A_KERNEL], capture_output=True, text=True, env=env, check=True)
    assert again.stdout == "2\n"
    assert {p: p.stat().st_mtime_ns for p in files} == files


COMMANDS = {
    "annotate": ["-o", "out.h5ad", "--table", "t.csv"],
    "score": ["-o", "out.zarr", "--signatures", "state"],
    "train": ["-o", "m.npz", "--labels", "author_label"],
}


# Says when it hears Ctrl-C: before, while Python itself starts, no program can do anything about it.
_HEARING = """
import sys
from tamannot._progress import Interruption
from tamannot.cli import main
listen = Interruption.listen
def listening(self):
    listen(self)
    print("begun", flush=True)
Interruption.listen = listening
main()
"""


def started(command: str, source: Path, folder: Path) -> subprocess.Popen[str]:
    """Start a command that hears Ctrl-C, even where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        words = [sys.executable, "-c", _HEARING, command, str(source), *COMMANDS[command], "--quiet"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(words, cwd=folder, **pipes)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout.readline() == "begun\n"
    return process


# How each ends a command, and what it says.
SIGNALS = {"SIGTERM": (143, " by SIGTERM"), "SIGHUP": (129, " by SIGHUP"), "SIGINT": (130, "")}


@POSIX
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_signal_leaves_nothing_half_done(example_file, tmp_path, moment, name):
    """While modules are imported, and once there is something of the output."""
    command = list(COMMANDS)[moment // 2 % len(COMMANDS)]
    process, rng = started(command, example_file, tmp_path), np.random.default_rng(moment)
    time.sleep(rng.uniform(0, 1.5))
    while moment % 2 and process.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(rng.uniform(0, 0.5))
    process.send_signal(getattr(signal, name))
    said, err = process.communicate(timeout=300)
    left = {p.name for p in tmp_path.iterdir()}
    if process.returncode == 0:  # it was done before
        assert left == {word for word in COMMANDS[command] if "." in word}
    else:
        code, by = SIGNALS[name]
        assert (process.returncode, said, err) == (code, "", f"tamannot: interrupted{by}.\n")
        assert left == set()


def command(words: list[str], err: Path) -> None:
    """Run a command line; what it says goes to a file."""
    sys.argv, sys.stderr = ["tamannot", *words], err.open("w", buffering=1)
    main()


@LINUX
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.nightly)])
def test_sigterm_ends_the_processes_of_many_files(small, tmp_path, monkeypatch, method):
    monkeypatch.setattr("tamannot.io._batch.get_context", lambda _: get_context(method))
    copies = tmp_path / "a.h5ad", tmp_path / "b.h5ad"
    for copy in copies:
        copy.write_bytes(small.read_bytes())
    out, said = tmp_path / "out", tmp_path / "err"
    words = ["annotate", *copies, "--out-dir", out, "--jobs", "2", "--log", tmp_path / "run.json", "--quiet"]
    # Forked, because a new process would import all again; each of the workers too.
    process = get_context("fork").Process(target=command, args=(list(map(str, words)), said))
    process.start()
    while process.is_alive() and not (out.exists() and list(out.iterdir())):
        time.sleep(0.02)
    process.terminate()
    process.join(300)
    left = {p.name for p in (*out.iterdir(), *tmp_path.glob(".*"))}
    if process.exitcode == 0:  # it was done before
        assert left == {"a.h5ad", "b.h5ad"}
        return
    assert (process.exitcode, said.read_text()) == (143, "tamannot: interrupted by SIGTERM.\n")
    # A file that was whole by then stays.
    assert all("tamannot" in ad.read_h5ad(out / name, backed="r").uns for name in left)
    assert json.loads((tmp_path / "run.json").read_text())["error"]["type"] == "KeyboardInterrupt"
