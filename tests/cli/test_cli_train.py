from __future__ import annotations

import json
from functools import partial

import pytest

import tamannot as tam

pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")
LABELS = ("--labels", "author_label")


@pytest.fixture
def run(run):
    """Run ``tamannot train``; return exit code, stdout and stderr."""
    return partial(run, "train")


def test_a_model_is_trained_told_and_saved(run, example_file, example, tmp_path):
    path = tmp_path / "m.npz"
    code, out, err = run(example_file, *LABELS, "-o", path, "--target-accuracy", 0.9)
    assert (code, err) == (0, "")
    for said in ("6 classes of 'author_label'", "malignant_93", "precision", "held out     other cells", "threshold"):
        assert said in out
    assert "Fewer than 20 cells of 'Microglia/Macrophage' (19)" in out
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]
    model = tam.load_model(path)
    model.predict(example)
    assert (example.obs["tam_model_label"].astype(str) == example.obs["author_label"]).mean() > 0.9


def test_json_and_quiet(run, example_file, tmp_path):
    code, out, err = run(example_file, *LABELS, "-o", tmp_path / "m.npz", "--json")
    summary = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (0, "")
    assert summary["outputs"] == [str(tmp_path / "m.npz")]
    assert set(summary["metrics"]["per_class"]) == set(summary["classes"])
    assert run(example_file, *LABELS, "-o", tmp_path / "m.npz", "--overwrite", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--labels", "nothing", "-o", "m.npz"), "No column 'nothing' in obs"),
        ((*LABELS, "-o", "m.npz", "--sample-key", "nothing"), "No column 'nothing' in obs"),
        ((*LABELS, "-o", "m.npz", "--layer", "nothing"), "No layer 'nothing'"),
        ((*LABELS, "-o", "m.npz", "--target-accuracy", "2"), "between 0 and 1"),
        ((*LABELS, "-o", "m.pkl"), "must end in .npz"),
        ((*LABELS, "-o", "there.npz"), "exists. Give another name, or --overwrite"),
        (("-o", "m.npz"), "Nothing can be learned of states: there are"),
        (("-o", "m.npz", *LABELS, "--tissue", "brain"), "leave out --labels, or these"),
    ],
)
def test_bad_input_gets_one_message_and_exit_2(run, example_file, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").write_text("mine")
    code, out, err = run(example_file, *args)
    assert (code, out) == (2, "")
    assert said in err
    assert [p.name for p in tmp_path.iterdir()] == ["there.npz"]
    assert (tmp_path / "there.npz").read_text() == "mine"


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "--sample-key" in out
