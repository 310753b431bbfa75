"""Files given together are one cohort: learned once from all, applied to each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import active_children, get_context, resource_tracker
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

import tamannot as tam
from tamannot._settings import AnnotateSettings
from tamannot.io import _batch
from tamannot.io._annotate import FileOptions, FileSummary

MANY = [
    pytest.mark.filterwarnings("ignore:Variable names are not unique"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="workers inherit what the test replaced by fork")


@pytest.fixture
def files(tmp_path, quick_file) -> Path:
    """A folder of inputs: two that are good, one between them that is damaged."""
    for name in ("a", "c"):
        shutil.copy(quick_file, tmp_path / f"{name}.h5ad")
    (tmp_path / "b.h5ad").write_text("damaged")
    return tmp_path


@MANY[0]
@MANY[1]
@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.nightly)])  # a process imports all again
def test_each_file_is_annotated_on_its_own(run, files, jobs):
    paths = [files / f"{name}.h5ad" for name in "abc"]
    out, log = files / "made" / "D", files / "run.json"
    given = ["--out-dir", out, "--jobs", jobs, "--tissue", "brain", "--tables", "csv", "--chunk-size", 100]
    code, said, err = run("annotate", *paths, *given, "--log", log)
    assert code == 2
    assert {p.name for p in out.iterdir()} == {"a.h5ad", "a.csv", "c.h5ad", "c.csv"}
    for name in "ac":
        assert (ad.read_h5ad(out / f"{name}.h5ad").obs["tam_compartment"] == "macrophage").sum() == 19
    rows = [line.split() for line in said.splitlines()]
    assert rows[0] == ["file", "cells", "macrophages", "origins", "states", "tissue", "seconds"]
    assert [row[:5] for row in rows[1:3]] == [[str(files / f"{n}.h5ad"), "184", "19", "microglia", "15,"] for n in "ac"]
    assert rows[3][:4] == ["2", "of", "3", "files"]
    assert "2 files are one cohort" in err.splitlines()[0]
    assert err.splitlines()[1].startswith(f"tamannot: {files / 'b.h5ad'}: not an HDF5 file")
    assert err.splitlines()[2:] == ["tamannot: 1 of 3 files failed; the others are written."]

    found = json.loads(log.read_text())
    assert found["n_obs"] == 368
    assert found["options"]["jobs"] == jobs
    by_name = {Path(entry["input"]).stem: entry for entry in found["files"]}
    assert by_name["a"]["outputs"] == [str(out / "a.h5ad"), str(out / "a.csv")]
    assert by_name["c"]["stages"]["calling"] >= 0
    assert by_name["b"]["error"]["type"] == "InputFileError"
    assert found["peak_memory_bytes"] == max(entry["peak_memory_bytes"] for entry in found["files"])


@MANY[0]
@MANY[1]
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a.h5ad", "b.h5ad"], "Several inputs"),
        (["a.h5ad", "--tables", "csv"], "need --out-dir"),
        (["a.h5ad", "b.h5ad", "--out-dir", "D", "-o", "o.h5ad"], "--out names one file"),
        (["a.h5ad", "--out-dir", "D", "--table", "t.csv"], "--tables csv or --tables parquet"),
        (["x/a.h5ad", "y/a.h5ad", "--out-dir", "D"], "x/a.h5ad and y/a.h5ad would have the same output"),
        (["a.h5ad", "a.zarr", "--out-dir", "D", "--tables", "csv"], "would have the same output, D/a.csv"),
        (["a.h5ad", "b.h5ad", "--out-dir", "a.h5ad/D"], "cannot create this folder: Not a directory"),
    ],
)
def test_options_that_do_not_go_together(run, files, monkeypatch, args, message):
    monkeypatch.chdir(files)
    code, out, err = run("annotate", *args)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert {p.name for p in files.iterdir()} == {"a.h5ad", "b.h5ad", "c.h5ad"}


def test_a_file_and_a_folder_of_one_name_have_outputs_of_their_own(tmp_path):
    sources = [tmp_path / "a.h5ad", tmp_path / "a.zarr"]
    in_place = _batch.tasks_of(sources, None, None, overwrite=False, in_place=True)
    assert [task.out for task in in_place] == sources
    beside = _batch.tasks_of(sources, tmp_path / "D", None, overwrite=False, in_place=False)
    assert [task.out for task in beside] == [tmp_path / "D" / "a.h5ad", tmp_path / "D" / "a.zarr"]


@needs_fork
def test_ctrl_c_is_not_heard_by_a_worker_that_still_starts():
    """It would print a traceback. The first start of a process starts a tracker, too, which lets signals through."""
    resource_tracker._resource_tracker._stop()
    worker = _batch._Worker(1, FileOptions(AnnotateSettings()))
    try:
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
    finally:
        worker.process.kill()
        worker.end()
    blocked = int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16)
    assert blocked & 1 << (signal.SIGINT - 1)


@pytest.fixture
def acting(monkeypatch):
    """Have workers do something of ours, by the name of the file, instead of annotating."""
    monkeypatch.setattr(_batch, "get_context", lambda _: get_context("fork"))
    seen = FileSummary(
        *(
            "",
            10,
            5,
            "X",
            "counts",
            "var_names",
            "human",
            "brain",
            {"macrophage": 4},
            {"unassigned": 1, "microglia": 3},
        ),
        *({}, {}, {}, {}, {}, "", ()),
    )

    def act(record, outputs, _):
        out = outputs.out
        with record.running():
            out.with_name(f".{out.name}.tamannot-part.h5ad").write_text("half")
            record.n_obs = 10
            match record.source.stem:
                case "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "bug":
                    raise ZeroDivisionError("oh no")
                case "slow":
                    try:
                        time.sleep(60)
                    finally:
                        out.with_name("cleaned").write_text(str(out.name))
            record.report("calling", 10)
            record.report.tick(10)
            out.with_name(f".{out.name}.tamannot-part.h5ad").replace(out)
            return seen

    monkeypatch.setattr(_batch, "annotate_recorded", act)


@MANY[0]
@MANY[1]
@needs_fork
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_is_killed_fails_its_file_only(run, acting, tmp_path, jobs):
    names = ["one", "killed", "two", "three"]
    given = [tmp_path / f"{name}.h5ad" for name in names]
    code, out, err = run(
        "annotate", *given, "--out-dir", tmp_path, "--jobs", jobs, "--json", "--log", tmp_path / "l.json"
    )
    found = json.loads(out)
    assert code == 2
    assert [Path(entry["path"]).stem for entry in found if entry["error"]] == ["killed"]
    assert len(found) == 4
    assert found[0]["n_macrophages"] == 4
    assert "ended by signal 9. The system does this when memory runs out: use fewer --jobs" in err
    assert {p.name for p in tmp_path.iterdir()} == {"one.h5ad", "two.h5ad", "three.h5ad", "l.json"}
    errors = [entry["error"] for entry in json.loads((tmp_path / "l.json").read_text())["files"]]
    assert [e["type"] for e in errors if e] == ["ChildProcessError"]
    assert not active_children()


@MANY[0]
@MANY[1]
@needs_fork
def test_a_bug_in_one_file_is_exit_1_with_its_traceback(run, acting, tmp_path):
    code, out, err = run("annotate", tmp_path / "bug.h5ad", tmp_path / "one.h5ad", "--out-dir", tmp_path / "D", "-q")
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert f"tamannot: {tmp_path / 'bug.h5ad'}: a bug: ZeroDivisionError: oh no" in err
    assert (tmp_path / "D" / "one.h5ad").exists()


@MANY[0]
@MANY[1]
@needs_fork
def test_all_failed(run, tmp_path, acting):
    code, out, err = run("annotate", tmp_path / "killed.h5ad", tmp_path / "bug.h5ad", "--out-dir", tmp_path / "D")
    assert (code, out) == (1, "")
    assert err.endswith("tamannot: 2 of 2 files failed.\n")


@MANY[0]
@MANY[1]
@needs_fork
def test_all_well_is_exit_0_and_one_file_may_have_a_folder_too(run, acting, tmp_path):
    code, out, err = run("annotate", tmp_path / "one.zarr", "--out-dir", tmp_path / "D")
    assert (code, err) == (0, "")
    assert "microglia 3, unassigned 1" in out
    assert [p.name for p in (tmp_path / "D").iterdir()] == ["one.zarr"]


@MANY[0]
@MANY[1]
@needs_fork
def test_an_interruption_ends_all_and_lets_them_clean_up(run, acting, tmp_path, monkeypatch):
    from tamannot.io import _batch

    def interrupted(*_: object, **__: object) -> list:
        while not (tmp_path / ".slow.h5ad.tamannot-part.h5ad").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(_batch, "wait", interrupted)
    code, out, _ = run("annotate", tmp_path / "slow.h5ad", "--out-dir", tmp_path, "--log", tmp_path / "log.json")
    assert code != 0
    assert out == ""
    assert {p.name for p in tmp_path.iterdir()} == {"cleaned", "log.json"}
    assert json.loads((tmp_path / "log.json").read_text())["error"]["type"] == "KeyboardInterrupt"
    assert not active_children()


@MANY[0]
@MANY[1]
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_command(files, number):
    names = [str(files / f"{name}.h5ad") for name in "ac"]
    command = [sys.executable, "-m", "tamannot", "annotate", *names, "--out-dir", str(files / "D"), "-j", "2"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    while not list(files.glob("D/.*tamannot-lock")):
        time.sleep(0.01)
        assert process.poll() is None
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    until = time.monotonic() + 60
    while _alive(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(process.pid)
    # A file that was done when the signal came is there whole; of the others there is nothing.
    for left in (files / "D").iterdir():
        assert left.suffix == ".h5ad"
        assert not left.name.startswith(".")
        assert "tam_state" in ad.read_h5ad(left).obs


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# Files given together are one cohort: learned once from all, applied to each.


QUIET = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")


LABELS = ["tam_compartment", "tam_origin", "tam_state", "tam_state_status"]


@pytest.fixture(scope="module")
def tumours() -> ad.AnnData:
    """Two tumours, one ruled by a state and one without any."""
    parts = [
        tam.datasets.simulate(150, n_samples=1, conditions=("a",), n_genes=3000, states=s, rng=seed)
        for seed, s in enumerate(({"lipid_associated": 0.85}, {"lipid_associated": 0.0}))
    ]
    both = ad.concat(parts, keys=["ruled", "free"], index_unique="-")
    both.obs["tumour"] = ["ruled"] * parts[0].n_obs + ["free"] * parts[1].n_obs
    return both


@pytest.fixture
def samples(tumours, tmp_path):
    """Each tumour in a file of its own."""
    paths = [tmp_path / f"{name}.h5ad" for name in ("ruled", "free")]
    for path in paths:
        tumours[tumours.obs["tumour"] == path.stem].copy().write_h5ad(path)
    return paths


@QUIET
@pytest.mark.usefixtures("workers_at_once")
def test_files_get_the_labels_of_one_object(tumours, samples, tmp_path, run):
    out = tmp_path / "out"
    code, _, err = run("annotate", *samples, "--out-dir", out, "--tissue", "brain")
    assert code == 0, err
    assert "2 files are one cohort" in err
    found = pd.concat([ad.read_h5ad(out / f.name).obs for f in samples])
    together = tumours.copy()
    tam.tl.annotate(together, sample_key="tumour", tissue="brain")
    for column in LABELS:
        agree = found[column].astype(str) == together.obs[column].astype(str)
        assert agree.mean() >= 0.99, column


@QUIET
@pytest.mark.usefixtures("workers_at_once")
def test_a_file_with_few_genes_takes_no_state_from_the_others(tumours, samples, tmp_path, run):
    out = tmp_path / "out"
    ad.read_h5ad(samples[1])[:, ::4].copy().write_h5ad(samples[1])
    code, _, err = run("annotate", *samples, "--out-dir", out, "--tissue", "brain")
    assert code == 0, err
    assert "Each file is annotated on its own: they share 750 genes, too few for " in err
    assert f"lipid_associated, pro_angiogenic ({samples[1]} has fewest genes)." in err
    alone = tumours[tumours.obs["tumour"] == "ruled"].copy()
    tam.tl.annotate(alone, tissue="brain")
    found = ad.read_h5ad(out / "ruled.h5ad").obs["tam_state"]
    assert (found == "lipid_associated").sum() > 20
    assert found.tolist() == alone.obs["tam_state"].tolist()


@QUIET
@pytest.mark.usefixtures("workers_at_once")
def test_each_alone_learns_for_each(tumours, samples, tmp_path, run):
    out = tmp_path / "out"
    code, _, err = run("annotate", *samples, "--out-dir", out, "--tissue", "brain", "--each-alone")
    assert code == 0, err
    alone = tumours[tumours.obs["tumour"] == "ruled"].copy()
    tam.tl.annotate(alone, tissue="brain")
    written = ad.read_h5ad(out / "ruled.h5ad").obs["tam_state"].astype(str)
    assert (written == alone.obs["tam_state"].astype(str)).all()
