"""What the library logs, at which level and where to; and that it prints nothing else."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import tamannot as tam
from tamannot.errors import ParameterError, TamannotWarning


def set_to(monkeypatch: pytest.MonkeyPatch, verbosity: str | int) -> None:
    monkeypatch.setattr(tam.settings, "verbosity", verbosity)


def counted(adata: ad.AnnData, axis: str) -> list[str]:
    """The labels of an axis with their number of cells, most frequent first."""
    labels = adata.obs[f"tam_{axis}"].astype(str)
    return [f"{n} {label}" for label, n in labels[labels != "not_macrophage"].value_counts().items()]


def test_annotate_says_what_it_found_in_one_line(example, caplog):
    tam.tl.annotate(example, tissue="brain")
    origins = ", ".join(counted(example, "origin")).replace("unassigned", "of unassigned origin")
    n = (example.obs["tam_compartment"] == "macrophage").sum()
    line = (
        f"Annotated 184 cells: {n} macrophages ({origins}); states: {', '.join(counted(example, 'state'))}. "
        "Results in obs['tam_*']."
    )
    assert [(r.name, r.levelname, r.message) for r in caplog.records] == [("tamannot", "INFO", line)]
    assert f"\ntamannot: {line}\n" in (Path(__file__).parents[1] / "docs/howto/scanpy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (tam.tl.gate, r"Annotated 184 cells: 19 macrophages. Results in obs['of_step_*']."),
        (tam.tl.ferroptosis, r"Annotated 184 cells: ferroptosis programs. Results in obs['of_step_*']."),
    ],
)
def test_a_step_says_only_what_it_wrote(example, caplog, step, said):
    step(example, key_added="of_step")
    assert caplog.messages[-1] == said


def test_data_without_macrophages(example, caplog):
    others = example[example.obs["author_label"] != "Microglia/Macrophage"].copy()
    tam.tl.annotate(others[:100].copy(), tissue="brain")
    assert caplog.messages[-1] == "Annotated 100 cells: 0 macrophages. Results in obs['tam_*']."


@pytest.mark.filterwarnings("ignore:Not scored")
def test_score_says_what_it_scored_by_which_method(tiny, caplog):
    sets = {"one": list(tiny.var_names[:6]), "two": list(tiny.var_names[6:12]), "away": ["X1", "X2"]}
    tam.tl.score(tiny, sets, method={"m": "mean", "u": "ucell"})
    tam.tl.score(tiny, list(tiny.var_names[:6]))
    assert caplog.messages == [
        "Scored 12 cells: 2 signatures by mean in obsm['m_scores'], 2 signatures by ucell in obsm['u_scores'].",
        "Scored 12 cells: 1 signature by ucell in obsm['tam_scores'].",
    ]


@pytest.mark.parametrize("verbosity", [0, 1, "error", "warning"])
def test_choices_are_recorded_but_not_logged_at_a_lower_level(example, caplog, monkeypatch, verbosity):
    set_to(monkeypatch, verbosity)
    tam.tl.annotate(example)
    assert not caplog.records
    assert example.uns["tamannot"]["tam"]["warnings"][0].startswith("Tissue set to brain")


def test_warnings_do_not_depend_on_the_level(tiny, monkeypatch):
    set_to(monkeypatch, 0)
    tiny.X = (tiny.X > 0).astype(np.float32)
    with pytest.warns(TamannotWarning, match="binary"):
        tam.tl.score(tiny, list(tiny.var_names[:6]))


def test_levels_are_those_of_scanpy(monkeypatch):
    set_to(monkeypatch, "info")
    for number, name in enumerate(("error", "warning", "info", "hint", "debug")):
        tam.settings.verbosity = number
        assert tam.settings.verbosity == name
        tam.settings.verbosity = name
        assert tam.settings.verbosity == name
    for wrong in (5, -1, "loud"):
        with pytest.raises(ParameterError, match=r"must be error, warning, info, hint, debug, or 0 to 4, not"):
            tam.settings.verbosity = wrong


def test_seconds_of_stages_are_logged_at_debug(tiny, caplog, monkeypatch):
    set_to(monkeypatch, "debug")
    tam.tl.score(tiny, list(tiny.var_names[:6]))
    assert [r.message.split(":")[0] for r in caplog.records if r.levelname == "DEBUG"] == ["reading", "scoring"]


def test_names_from_the_data_are_escaped_in_the_log(tiny, caplog):
    tiny.var["feature_types"] = ["Gene Expression"] * 39 + ["Odd\x1b[31m\nkind"]
    tam.tl.score(tiny, list(tiny.var_names[:6]))
    assert r"Odd\x1b[31m\nkind" in caplog.messages[0]


@pytest.mark.parametrize("verbosity", [0, 2])
def test_the_summary_of_a_file_has_its_notes_at_any_level(tiny, tmp_path, caplog, monkeypatch, verbosity):
    set_to(monkeypatch, verbosity)
    tiny.layers["counts"], tiny.X = tiny.X.copy(), -tiny.X.toarray()
    tiny.write_h5ad(tmp_path / "in.h5ad")
    from tamannot.io import score_file

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score_file(tmp_path / "in.h5ad", None, signatures=["state"], table=tmp_path / "x.csv", min_coverage=0)
    assert [note.split(" (")[0] for note in found.notes][:1] == ["Using counts"]
    assert not caplog.records


def test_nothing_goes_to_stdout(example, capfd):
    tam.tl.annotate(example)
    tam.tl.score(example, "origin", key_added="more", min_coverage=0)
    tam.tl.vote(example, "patient")
    assert capfd.readouterr().out == ""


USE = """
import tamannot as tam
tam.tl.score(cells, "inflammatory", method="mean", min_coverage=0)
"""
SAID = "Scored 12 cells: 1 signature by mean in obsm['tam_scores'].\n"
# What an application does before it imports the package, and what it then finds on stdout and stderr.
APPLICATIONS = {
    "without handlers, lines go to stderr": ("", "", f"tamannot: {SAID}"),
    "with handlers, lines go to them alone": ("logging.getLogger().addHandler(handler)", SAID, ""),
    "with handlers of ours, too": ("logging.getLogger('tamannot').addHandler(handler)", SAID, ""),
    "a level that was chosen is kept": ("logging.getLogger('tamannot').setLevel(logging.ERROR)", "", ""),
}
# One process imports what takes long; each application is a fork of it, which imports the package itself.
FORKS = """
import logging, os, sys
import anndata, numba, pandas, pydantic, scipy.sparse, sklearn.linear_model
handler = logging.StreamHandler(sys.stdout)
cells = anndata.read_h5ad("in.h5ad")
for name, code in eval(sys.argv[1]).items():
    if (child := os.fork()) == 0:
        for number, end in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{name}.{end}", os.O_WRONLY | os.O_CREAT), number)
        exec(code)
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""


def run(code: str, *words: str, cwd: Path | None = None) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *words], check=True, cwd=cwd)


@pytest.mark.skipif(sys.platform == "win32", reason="os.fork")
def test_where_lines_go_is_the_choice_of_the_application(tiny, tmp_path):
    tiny.write_h5ad(tmp_path / "in.h5ad")
    run(FORKS, repr({name: f"{before}\n{USE}" for name, (before, *_) in APPLICATIONS.items()}), cwd=tmp_path)
    for name, (_, *expected) in APPLICATIONS.items():
        assert [(tmp_path / f"{name}.{end}").read_text() for end in ("out", "err")] == expected, name


def test_importing_changes_neither_the_root_logger_nor_the_filters_of_warnings():
    run(
        "import logging, warnings\n"
        "def state():\n"
        "    root = logging.root\n"
        "    return root.level, list(root.handlers), list(root.filters), logging.lastResort, list(warnings.filters)\n"
        "before = state()\n"
        "import tamannot\n"
        "tamannot.settings.verbosity = 'debug'\n"
        "assert tamannot.errors.TamannotWarning\n"
        "assert state() == before"
    )


def test_a_closed_stderr_stops_nothing(tiny, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    for stream in (None, open(__file__)):  # noqa: SIM115, PTH123 - it is closed at once
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        tam.tl.score(tiny, list(tiny.var_names[:6]))
