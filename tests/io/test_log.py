from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tamannot as tam
from tamannot._progress import Progress
from tamannot.errors import InputFileError, OutputError
from tamannot.io._targets import RunLog, logged

pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_a_run_is_logged(example_file, tmp_path):
    summary = tam.annotate_file(
        example_file, None, table=tmp_path / "t.csv", log=tmp_path / "run.json", tissue="brain", chunk_size=50
    )
    log = read(tmp_path / "run.json")
    assert log["input"] == str(example_file)
    assert log["outputs"] == [str(tmp_path / "t.csv")]
    assert log["n_obs"] == 184
    assert log["notes"] == list(summary.notes)
    assert log["error"] is None
    assert log["options"]["tissue"] == "brain"
    assert log["options"]["chunk_size"] == 50
    assert log["versions"]["tamannot"] == tam.__version__
    assert {"python", "numpy", "scipy", "anndata", "scikit-learn", "numba", "platform"} <= set(log["versions"])
    assert {"reading file", "reading", "calling", "writing"} <= set(log["stages"])
    assert sum(log["stages"].values()) <= log["seconds"] + 0.1
    assert log["cells_per_second"] == pytest.approx(184 / log["seconds"], rel=0.01, abs=0.06)
    assert 50e6 < log["peak_memory_bytes"] < 1e12
    assert {p.name for p in tmp_path.iterdir()} == {"t.csv", "run.json"}


def test_so_is_one_that_fails(tmp_path):
    (tmp_path / "in.h5ad").write_text("no HDF5")
    with pytest.raises(InputFileError):
        tam.annotate_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", log=tmp_path / "run.json")
    log = read(tmp_path / "run.json")
    assert log["error"]["type"] == "InputFileError"
    assert "not an HDF5 file" in log["error"]["message"]
    assert log["outputs"] == []
    assert log["n_obs"] is None
    assert set(log["stages"]) <= {"reading file"}
    assert {p.name for p in tmp_path.iterdir()} == {"in.h5ad", "run.json"}


def test_a_failure_after_reading_knows_the_cells(example, tmp_path):
    example.var_names = [f"gene{i}" for i in range(example.n_vars)]
    example.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(tam.errors.GeneIdError):
        tam.annotate_file(tmp_path / "in.h5ad", tmp_path / "out.h5ad", log=tmp_path / "run.json")
    assert read(tmp_path / "run.json")["n_obs"] == 184


def test_own_signatures_are_in_it_by_their_digest(tmp_path):
    own = tam.read_signatures(_gmt(tmp_path / "own.gmt"))
    with pytest.raises(InputFileError):
        tam.annotate_file("absent.h5ad", tmp_path / "o.h5ad", signatures=own, log=tmp_path / "run.json")
    assert read(tmp_path / "run.json")["options"]["signatures"] == {"my_set": own["my_set"].digest}


def _gmt(path: Path) -> Path:
    path.write_text("my_set\tnone\tCD68\tCD14\tAIF1\tCSF1R\tC1QA\n")
    return path


class TestLogged:
    def test_a_log_replaces_one_of_a_run_before(self, tmp_path):
        for n in range(2):
            with logged(tmp_path / "run.json", {}, lambda n=n: {"n": n}):
                pass
        assert read(tmp_path / "run.json")["n"] == 1

    @pytest.mark.parametrize("content", ["{}", "[]", "mine", '{"tamannot": 1}'])
    def test_but_no_other_file(self, tmp_path, content):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(OutputError, match="exists"), logged(tmp_path / "run.json", {}, dict):
            raise AssertionError("nothing may run")
        assert (tmp_path / "run.json").read_text() == content
        with logged(tmp_path / "run.json", {}, dict, overwrite=True):
            pass
        assert "versions" in read(tmp_path / "run.json")

    @pytest.mark.parametrize(("name", "message"), [("run.h5ad", "end in .json"), ("nowhere/run.json", "no folder")])
    def test_bad_names_are_refused_before_the_run(self, tmp_path, name, message):
        with pytest.raises(OutputError, match=message), logged(tmp_path / name, {}, dict):
            raise AssertionError("nothing may run")
        assert not list(tmp_path.iterdir())

    def test_interrupted_runs_have_one(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), logged(tmp_path / "run.json", {}, dict):
            raise KeyboardInterrupt
        assert read(tmp_path / "run.json")["error"]["type"] == "KeyboardInterrupt"

    def test_a_log_that_cannot_be_written_does_not_hide_the_error_of_the_run(self, tmp_path, monkeypatch):
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(ZeroDivisionError), logged(tmp_path / "run.json", {}, dict):
            raise ZeroDivisionError
        with pytest.raises(OutputError, match="No space left"), logged(tmp_path / "run.json", {}, dict):
            pass
        assert not list(tmp_path.iterdir())

    def test_two_runs_cannot_share_one(self, tmp_path, monkeypatch):
        with logged(tmp_path / "run.json", {}, dict):
            monkeypatch.setattr("tamannot.io._output._HELD", _nothing_held())
            with pytest.raises(OutputError, match="another run"), logged(tmp_path / "run.json", {}, dict):
                raise AssertionError("nothing may run")
            monkeypatch.undo()

    def test_what_json_does_not_know_is_told_as_text(self, tmp_path):
        with logged(tmp_path / "run.json", {"table": Path("a.csv")}, dict):
            pass
        assert read(tmp_path / "run.json")["options"] == {"table": "a.csv"}


def _nothing_held():
    from contextvars import ContextVar

    return ContextVar("held", default=frozenset())


def test_a_shared_progress_counts_each_run_apart():
    now = [0.0]
    report = Progress(show=False, clock=lambda: now[0])
    entries = []
    for seconds in (3, 5):
        record = RunLog(Path("a.h5ad"), report)
        with record.running():
            report("reading")
            now[0] += seconds
        entries.append(record.entry())
    assert [e["stages"] for e in entries] == [{"reading": 3}, {"reading": 5}]


def test_peak_memory_is_in_bytes_and_grows():
    script = """
from tamannot.io._targets import peak_memory
before = peak_memory()
ballast = bytearray(b"x") * (before + 50_000_000)
assert isinstance(before, int)
assert before > 1_000_000
assert peak_memory() >= len(ballast)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
