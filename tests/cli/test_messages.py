"""What the command line says is in its own words: options and commands, nothing that is typed in Python."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import tamannot as tam
from tamannot.cli._options import as_options

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


# Lines that convert a file are meant for Python and say so; they are not asked for here.
_OF_PYTHON = re.compile(r"\b(?:tl|pl|get|tam|tamannot)\.[a-z_]+|\badata\b|\b[a-z_]+=|\w\(.*=")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for each fault."""
    folder = tmp_path_factory.mktemp("words")
    plain = tam.datasets.oligodendroglioma()
    plain.obs["type"] = "unheard of"
    plain.obs["half"] = np.where(np.arange(plain.n_obs) % 2, "a", "b")
    plain.write_h5ad(folder / "in.h5ad")
    scaled = plain.copy()
    scaled.layers["mine"] = plain.X.copy()
    scaled.X = plain.X.toarray() - 1
    scaled.write_h5ad(folder / "scaled.h5ad")
    unknown = plain.copy()
    unknown.var_names = [f"gene{i}" for i in range(plain.n_vars)]
    unknown.write_h5ad(folder / "unknown.h5ad")
    some = [g.symbol for g in tam.load_signature("lipid_associated").all_genes if g.symbol in plain.var_names][:15]
    plain[:, some].copy().write_h5ad(folder / "none.h5ad")
    plain[:, :40].copy().write_h5ad(folder / "narrow.h5ad")
    tam.tl.score(plain, tam.load_signatures("state"))
    plain.write_h5ad(folder / "scored.h5ad")
    tam.tl.annotate(plain, tissue="brain")
    plain.write_h5ad(folder / "called.h5ad")
    genes = list(plain.var_names)
    (folder / "large.gmt").write_text("large\tnone\t" + "\t".join(genes[:2000]) + "\n")
    (folder / "narrow.gmt").write_text("narrow\tnone\t" + "\t".join(genes[:5]) + "\n")
    (folder / "weighted.csv").write_text("source,target,weight\nown,CD68,2\nown,CD14,1\nown,SPP1,0.5\n")
    (folder / "there.h5ad").write_text("mine")
    (folder / "there.html").write_text("mine")
    return folder


_REFUSED = [
    (("annotate", "in.h5ad"), "No output: pass --out or --table."),
    (("annotate", "in.h5ad", "-o", "there.h5ad"), "or use --overwrite to replace it"),
    (
        ("annotate", "in.h5ad", "-o", "in.h5ad", "--overwrite"),
        "in.h5ad is the input. Choose another name, or use --in-place",
    ),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--in-place"), "--in-place writes into the input"),
    (("annotate", "in.h5ad", "--table", "t.csv", "--report", "r.html"), "pass --out as well"),
    (("annotate", "in.h5ad", "none.h5ad"), "need --out-dir"),
    (("annotate", "in.h5ad", "none.h5ad", "--out-dir", "."), "is an input. Give another folder, or --in-place"),
    (("annotate", "in.h5ad", "none.h5ad", "--out-dir", "D", "--in-place"), "--in-place writes into the input"),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--sample-key", "patien"), "Did you mean 'patient'?"),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--compartment-key", "typ"), "Did you mean 'type'?"),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--compartment-key", "type"), "Use a column with the ids b, dendritic"),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--target-accuracy", "2"), "--target-accuracy 2.0 is not between 0 and 1"),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--layer", "cuonts"), "No layer 'cuonts'"),
    (("annotate", "in.h5ad", "-o", "o.h5ad", "--species", "mouse"), ""),
    (("annotate", "scaled.h5ad", "-o", "o.h5ad"), "Other layers: mine; choose one with --layer."),
    (("check", "unknown.h5ad"), "pass its name as --gene-symbols."),
    (("check", "none.h5ad"), "macrophages cannot be called: the"),
    (("check", "in.h5ad", "--gene-symbols", "no"), "No column 'no' in var"),
    (("score", "in.h5ad", "-o", "there.h5ad"), "or use --overwrite to replace it"),
    (("score", "in.h5ad", "-o", "in.h5ad"), "or use --in-place to write the results into it"),
    (("score", "in.h5ad", "-o", "o.h5ad", "--signatures", "lipid_asociated"), "All ids: tamannot signatures list"),
    (("score", "in.h5ad", "-o", "o.h5ad", "--signatures", "large.gmt"), "Use UCell with another max_rank (in Python)"),
    (
        ("score", "in.h5ad", "-o", "o.h5ad", "--signatures", "weighted.csv", "--method", "ucell_legacy"),
        "ucell_legacy cannot use. Set --ignore-weights to score",
    ),
    (("score", "narrow.h5ad", "-o", "o.h5ad", "--signatures", "narrow.gmt", "--method", "aucell"), ""),
    (("score", "narrow.h5ad", "-o", "o.h5ad", "--signatures", "narrow.gmt", "--method", "module"), ""),
    (("score", "in.h5ad", "-o", "o.h5ad", "--method", "mean", "--null"), "Leave it out"),
    (("score", "called.h5ad", "-o", "o.h5ad", "--null"), "Score the file from before the annotation."),
    (("train", "in.h5ad", "-o", "m.npz"), "run tamannot annotate"),
    (("train", "in.h5ad", "-o", "m.npz", "--labels", "hal"), "Did you mean 'half'?"),
    (("train", "in.h5ad", "-o", "m.npz", "--labels", "half", "--tissue", "brain"), "--tissue, --compartment-key"),
    (("train", "in.h5ad", "-o", "m.npz", "--labels", "half", "--sample-key", "half"), "Train without --sample-key."),
    (
        ("report", "in.h5ad", "-o", "r.html"),
        "in.h5ad: No results under the key 'tam'. Run tamannot annotate IN -o OUT first",
    ),
    (("report", "scored.h5ad", "-o", "r.html"), "Run tamannot annotate"),
    (("report", "scored.h5ad", "-o", "there.html"), "or use --overwrite to replace it"),
    (("report", "called.h5ad", "-o", "r.html", "--sample-key", "patien"), "Did you mean 'patient'?"),
    (("signatures", "show", "m3"), "All ids: tamannot signatures list"),
    (("signatures", "show", "m1@7.0.0"), "Available: 1.0.0"),
    (("signatures", "list", "--axis", "states"), "Did you mean 'state'?"),
]


@pytest.mark.parametrize(("words", "said"), _REFUSED, ids=[" ".join(words) for words, _ in _REFUSED])
def test_a_refusal_names_options_and_commands(run, folder, tmp_path, monkeypatch, words, said):
    for name in folder.iterdir():
        shutil.copy(name, tmp_path / name.name)
    monkeypatch.chdir(tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    code, out, err = run(*words)
    if said == "":  # it may be refused or not: what is said is what counts
        assert code in (0, 2)
    else:
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
        assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before
    assert not _OF_PYTHON.search(err), err


@pytest.mark.parametrize("as_json", [False, True])
def test_notes_name_options(run, folder, tmp_path, as_json):
    code, out, err = run("annotate", folder / "in.h5ad", "-o", tmp_path / "o.h5ad", *(["--json"] if as_json else []))
    assert (code, err) == (0, "")
    notes = " ".join(json.loads(out)["notes"]) if as_json else out
    assert "Override with --tissue" in notes
    assert not _OF_PYTHON.search(notes), notes


@pytest.mark.usefixtures("workers_at_once")
def test_failures_of_many_files_name_options(run, folder, tmp_path):
    code, out, err = run("annotate", folder / "scaled.h5ad", "--out-dir", tmp_path / "D", "--json")
    assert code == 2
    for said in (err, json.loads(out)[0]["error"]):
        assert "choose one with --layer." in said
        assert not _OF_PYTHON.search(said), said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("species=human/x.h5ad: no such file.", "species=human/x.h5ad: no such file."),
        ("/data/layer=1/x.h5ad: no such file.", "/data/layer=1/x.h5ad: no such file."),
        ("scanpy.read_10x_h5('x.h5', genome='hg19')", "scanpy.read_10x_h5('x.h5', genome='hg19')"),
        ("Use layer='raw' or layer=X.", "Use --layer raw or --layer X."),
        ("Run tamannot.tl.score(adata, …) first.", "Run tamannot score IN -o OUT first."),
        ("a column 'layer=x' of obs", "a column 'layer=x' of obs"),
    ],
)
def test_only_what_is_ours_is_put_into_other_words(message, said):
    assert as_options(message) == said


class TestInPlace:
    def test_one_file(self, run, folder, tmp_path):
        path = Path(shutil.copy(folder / "in.h5ad", tmp_path))
        code, out, _ = run("annotate", path, "--in-place")
        assert code == 0
        assert f"written       {path}" in out
        assert "tam_state" in ad.read_h5ad(path).obs
        assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]

    def test_scores(self, run, folder, tmp_path):
        path = Path(shutil.copy(folder / "in.h5ad", tmp_path))
        assert run("score", path, "-o", path, "--in-place", "-q") == (0, "", "")
        assert "tam_scores" in ad.read_h5ad(path).obsm

    @pytest.mark.nightly  # one file in place is tested here, many files in test_many_files
    @pytest.mark.usefixtures("workers_at_once")
    @pytest.mark.parametrize("with_folder", [False, True])
    def test_many_files(self, run, folder, tmp_path, with_folder):
        paths = [Path(shutil.copy(folder / "in.h5ad", tmp_path / f"{name}.h5ad")) for name in "ab"]
        where = ["--out-dir", tmp_path] if with_folder else []
        code, _, err = run("annotate", *paths, "--in-place", *where, "--tissue", "brain", "--quiet")
        assert (code, err) == (0, "")
        assert all("tam_state" in ad.read_h5ad(path).obs for path in paths)
        assert {p.name for p in tmp_path.iterdir()} == {"a.h5ad", "b.h5ad"}

    def test_another_input_is_no_output(self, run, folder, tmp_path):
        (tmp_path / "D").mkdir()
        a, b = (Path(shutil.copy(folder / "in.h5ad", tmp_path / f"{name}.h5ad")) for name in "ab")
        (tmp_path / "D" / "a.h5ad").symlink_to(b)
        before = b.read_bytes()
        code, _, err = run("annotate", a, b, "--out-dir", tmp_path / "D", "--overwrite", "--in-place")
        assert code == 2
        assert "is an input" in err
        assert b.read_bytes() == before

    def test_an_input_under_another_name_is_no_output(self, run, folder, tmp_path):
        (tmp_path / "D").mkdir()
        source = shutil.copy(folder / "in.h5ad", tmp_path / "a.h5ad")
        (tmp_path / "D" / "a.h5ad").hardlink_to(source)
        code, _, err = run("annotate", source, "--out-dir", tmp_path / "D", "--overwrite")
        assert code == 2
        assert "is an input. Give another folder, or --in-place" in err

    @pytest.mark.parametrize("command", ["annotate", "score"])
    def test_the_help_says_so(self, run, command):
        _, out, _ = run(command, "--help")
        assert "--in-place" in out
        assert "Changed only by" in out
        assert "never changed" not in out


class TestCheck:
    def test_a_file_with_all_that_is_needed(self, run, folder):
        code, out, _ = run("check", folder / "in.h5ad", "--json")
        found = json.loads(out)
        assert code == 0
        assert [note for note in found["notes"] if "macrophage" in note] == []

    def test_what_will_be_missing_is_said(self, run, folder, tmp_path):
        adata = ad.read_h5ad(folder / "in.h5ad")
        panel = [gene.symbol for gene in tam.load_signature("macrophage").all_genes if gene.symbol in adata.var_names]
        adata[:30, ~adata.var_names.isin(panel[2:])].copy().write_h5ad(tmp_path / "x.h5ad")
        code, out, _ = run("check", tmp_path / "x.h5ad")
        assert code == 0
        assert out.startswith(f"{tmp_path / 'x.h5ad'}: 30 cells; can be annotated, with limitations:\n")
        assert (
            "2 of the 20 genes of the macrophage panel are in the data: macrophages are called from other genes" in out
        )
        assert "pass their column as --compartment-key." in out
        assert "30 cells are few for fitting the baselines" in out

    def test_a_state_without_half_of_its_genes_is_never_called(self, run, folder, tmp_path):
        adata = ad.read_h5ad(folder / "in.h5ad")
        genes = [gene.symbol for gene in tam.load_signature("lipid_associated").all_genes]
        adata[:, ~adata.var_names.isin(genes[2:])].copy().write_h5ad(tmp_path / "x.h5ad")
        out = run("check", tmp_path / "x.h5ad")[1]
        assert "No cell will get the state " in out
        assert "lipid_associated" in out.partition("No cell will get the state ")[2].partition(":")[0]

    def test_genes_that_no_cell_expresses(self, run, folder, tmp_path):
        adata = ad.read_h5ad(folder / "in.h5ad")
        panel = {gene.symbol for gene in tam.load_signature("macrophage").all_genes}
        adata.X = adata.X.toarray() * ~adata.var_names.isin(panel)
        adata.write_h5ad(tmp_path / "x.h5ad")
        code, out, _ = run("check", tmp_path / "x.h5ad")
        assert code == 0
        assert "None of 184 inspected cells expresses 3 macrophage genes" in out
