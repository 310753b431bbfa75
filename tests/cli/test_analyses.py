"""Analyses on the command line give what the same call in Python gives, and refuse as the other commands do."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.cli._analyses import malignant_of

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

COMPARE = ("--sample-key", "sample", "--condition", "condition", "--min-cells", 10)
CROSSTALK = ("--sample-key", "sample", "--malignant", "truth_compartment=glial_like", "--min-cells", 10)
SETS = ("--signatures", "state", "--signatures", "m1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A cohort, not annotated and annotated, and models."""
    folder = tmp_path_factory.mktemp("analyses")
    cells = tam.datasets.simulate(
        60, n_samples=8, n_genes=3000, composition={"macrophage": 0.6, "glial_like": 0.3, "t_nk": 0.1}
    )
    cells.obs["batch"] = (cells.obs["sample"].cat.codes // 2 % 2).astype(float)  # condition is the parity
    cells.obsm["X_umap"] = np.random.default_rng(0).normal(size=(cells.n_obs, 2))
    cells.write_h5ad(folder / "plain.h5ad")
    tam.tl.train(cells, "truth_compartment", sample_key="sample", n_genes=500).save(folder / "labels.npz")
    tam.tl.train(cells, tissue="brain").save(folder / "cohort.npz")
    tam.tl.annotate(cells, tissue="brain", sample_key="sample")
    cells.write_h5ad(folder / "in.h5ad")
    # Of its hundreds of columns, each is read as an array of its own: what is refused needs none of a table.
    slim = cells.copy()
    for name in [name for name in slim.obsm if name != "X_umap"]:
        del slim.obsm[name]
    slim.write_h5ad(folder / "slim.h5ad")
    return folder


@pytest.fixture(scope="module")
def _cells(folder) -> ad.AnnData:
    return ad.read_h5ad(folder / "in.h5ad")


@pytest.fixture
def cells(_cells) -> ad.AnnData:
    return _cells.copy()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(table: pd.DataFrame, wanted: pd.DataFrame) -> None:
    empty = {c: "" for c in wanted if not pd.api.types.is_numeric_dtype(wanted[c])}
    pd.testing.assert_frame_equal(table.fillna(empty), wanted, check_dtype=False, check_categorical=False, atol=1e-12)


@pytest.mark.parametrize("name", ["in.h5ad", pytest.param("in.zarr", marks=pytest.mark.nightly)])
def test_compare_is_composition(run, folder, cells, tmp_path, name):
    if name == "in.zarr":
        cells.write_zarr(folder / name)
    out, table = tmp_path / f"out{Path(name).suffix}", tmp_path / "t.csv"
    code, said, err = run("compare", folder / name, *COMPARE, "--covariate", "batch", "-o", out, "--table", table)
    assert code == 0
    tam.tl.composition(cells, "sample", condition="condition", covariates=["batch"], min_cells=10)
    wanted = tam.get.composition(cells)
    same(pd.read_csv(table), wanted)
    back = ad.read_h5ad(out) if out.suffix == ".h5ad" else ad.read_zarr(out)
    same(tam.get.composition(back), wanted)
    assert [line for line in err.splitlines() if not line.startswith("caution: ")] == []
    assert err.count("caution: ") == len(wanted.attrs["cautions"])
    assert len(said.splitlines()) == 1 + len(wanted) + 2
    assert "lipid_associated   treated vs control" in said


def test_nothing_else_in_the_file_changes(run, folder, cells, tmp_path):
    before = digest(folder / "in.h5ad")
    assert run("compare", folder / "in.h5ad", *COMPARE, "-o", tmp_path / "o.h5ad", "--quiet") == (0, "", "")
    back = ad.read_h5ad(tmp_path / "o.h5ad")
    del back.uns["tamannot"]["tam"]["composition"], back.uns["tamannot"]["tam"]["latest"]
    pd.testing.assert_frame_equal(back.obs, cells.obs)
    assert sorted(back.obsm) == sorted(cells.obsm)
    for name in cells.obsm:
        np.testing.assert_array_equal(back.obsm[name], cells.obsm[name])
    assert (back.X != cells.X).nnz == 0
    assert sorted(back.uns["tamannot"]["tam"]) == sorted(cells.uns["tamannot"]["tam"])
    assert digest(folder / "in.h5ad") == before


def test_shares_without_a_condition(run, folder, cells, tmp_path):
    args = ("--sample-key", "sample", "--axis", "origin", "--table", tmp_path / "t.tsv")
    code, out, _ = run("compare", folder / "in.h5ad", *args)
    assert code == 0
    tam.tl.composition(cells, "sample", axis="origin")
    wanted = tam.get.composition(cells, table="shares")
    same(pd.read_csv(tmp_path / "t.tsv", sep="\t"), wanted)
    assert [line.split()[0] for line in out.splitlines()[:9]] == ["sample", *wanted["sample"].unique()]


def test_expected_counts_and_json(run, folder, cells):
    code, out, err = run("compare", folder / "in.h5ad", *COMPARE, "--counts", "expected", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out, parse_constant=pytest.fail)
    tam.tl.composition(cells, "sample", condition="condition", min_cells=10, counts="expected")
    wanted = tam.get.composition(cells)
    assert found["cautions"] == wanted.attrs["cautions"]
    assert found["parameters"] == wanted.attrs["parameters"]
    np.testing.assert_allclose([row["p"] or np.nan for row in found["tests"]], wanted["p"], atol=1e-9)
    assert {"sample", "expected_share"} <= set(found["expected"][0])


def test_enrich_is_enrich(run, folder, cells, tmp_path):
    args = ("--groupby", "tam_state", "--sample-key", "sample", "--compartment", "macrophage", *SETS)
    table = tmp_path / "t.csv"
    code, out, err = run("enrich", folder / "in.h5ad", *args, "-o", tmp_path / "o.h5ad", "--table", table)
    assert code == 0
    sets = [*tam.load_signatures("state").values(), tam.load_signature("m1")]
    how = {"signatures": tam.SignatureSet(sets), "sample_key": "sample", "compartment": "macrophage"}
    tam.tl.enrich(cells, "tam_state", **how)
    same(pd.read_csv(table), tam.get.enrichment(cells))
    back, kind = ad.read_h5ad(tmp_path / "o.h5ad"), "clusters"
    same(tam.get.enrichment(back, kind=kind), tam.get.enrichment(cells, kind=kind))
    assert "most enriched (NES)" in out
    assert "caution: The groups of 'tam_state' were called from signatures" in err


@pytest.mark.slow
def test_crosstalk_is_crosstalk(run, folder, cells, tmp_path):
    table = tmp_path / "t.parquet"
    pytest.importorskip("pyarrow")
    code, out, err = run("crosstalk", folder / "in.h5ad", *CROSSTALK, "-o", tmp_path / "o.h5ad", "--table", table)
    assert code == 0
    tam.tl.crosstalk(cells, "sample", malignant=("truth_compartment", "glial_like"), min_cells=10)
    wanted = tam.get.crosstalk(cells)
    same(pd.read_parquet(table), wanted)
    same(tam.get.crosstalk(ad.read_h5ad(tmp_path / "o.h5ad")), wanted)
    assert "share lipid_associated   ferroptosis_defence" in out
    assert "caution: Associations across " in err
    found = json.loads(run("crosstalk", folder / "in.h5ad", *CROSSTALK, "--json", "--quiet")[1])
    assert [row["sample"] for row in found["samples"]] == tam.get.crosstalk(cells, kind="samples").index.tolist()
    assert run("plot", tmp_path / "o.h5ad", "crosstalk", "-o", tmp_path / "f.png", "--quiet") == (0, "", "")


def test_predict_is_predict(run, folder, tmp_path):
    args = (folder / "plain.h5ad", "--model", folder / "labels.npz")
    code, out, _ = run("predict", *args, "-o", tmp_path / "o.h5ad", "--table", tmp_path / "t.csv")
    assert code == 0
    cells = ad.read_h5ad(folder / "plain.h5ad")
    tam.load_model(folder / "labels.npz").predict(cells)
    back, table = ad.read_h5ad(tmp_path / "o.h5ad"), pd.read_csv(tmp_path / "t.csv", index_col="cell")
    names = ["tam_model_label", "tam_model_prob", "tam_model_status"]
    pd.testing.assert_frame_equal(back.obs[names], cells.obs[names])
    np.testing.assert_array_equal(back.obsm["tam_model_proba"], cells.obsm["tam_model_proba"])
    assert table["tam_model_label"].tolist() == cells.obs["tam_model_label"].tolist()
    assert table["proba_macrophage"].tolist() == pytest.approx(cells.obsm["tam_model_proba"]["macrophage"])
    n = int((cells.obs["tam_model_label"] == "macrophage").sum())
    assert f"macrophage  {n}" in out
    code, out, _ = run("predict", *args, "--table", tmp_path / "t.csv", "--overwrite", "--json")
    assert code == 0
    found = {row["label"]: row["n_cells"] for row in json.loads(out)["labels"]}
    assert (found["macrophage"], sum(found.values())) == (n, cells.n_obs)


def test_predict_keeps_an_annotation(run, folder, cells, tmp_path):
    path = Path(shutil.copy(folder / "in.h5ad", tmp_path))
    code, _, _ = run("predict", path, "--model", folder / "labels.npz", "--in-place", "--quiet")
    assert code == 0
    back = ad.read_h5ad(path)
    pd.testing.assert_frame_equal(tam.get.scores(back), tam.get.scores(cells))
    assert set(back.uns["tamannot"]) == {"tam", "tam_model"}
    assert "tam_model_label" in tam.get.annotations(back)


FIGURES = [
    ("states", "png", ()),
    ("states", "svg", ("--groupby", "sample")),
    ("origins", "pdf", ("--basis", "umap")),
    ("coverage", "png", ("--axis", "state")),
    ("scores", "png", ("--signatures", "m1", "--signatures", "hypoxic", "--groupby", "condition")),
    ("markers", "png", ("--groupby", "origin")),
    ("polarization", "png", ("--sample-key", "sample")),
    ("state_by_origin", "png", ()),
    ("composition", "png", ("--sample-key", "sample", "--axis", "origin")),
    ("composition_tests", "png", ("--sample-key", "sample", "--condition", "condition")),
    ("ferroptosis", "png", ("--sample-key", "sample", "--groupby", "state")),
]
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.mark.parametrize(("kind", "suffix", "args"), FIGURES, ids=[f"{kind}-{suffix}" for kind, suffix, _ in FIGURES])
def test_plot_draws(run, folder, tmp_path, kind, suffix, args):
    out, before = tmp_path / f"figure.{suffix}", digest(folder / "in.h5ad")
    code, said, err = run("plot", folder / "in.h5ad", kind, *args, "-o", out, "--dpi", 50)
    assert code == 0, err
    assert said.startswith(f"{out}: ")
    assert out.read_bytes().startswith(MAGIC[suffix])
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
    assert digest(folder / "in.h5ad") == before


def test_a_figure_is_the_same_every_time(run, folder, tmp_path):
    for suffix in MAGIC:
        made = [tmp_path / f"{i}.{suffix}" for i in range(2)]
        for out in made:
            args = ("--axis", "state", "-o", out, "--dpi", 50, "--quiet")
            assert run("plot", folder / "in.h5ad", "coverage", *args) == (0, "", "")
        assert digest(made[0]) == digest(made[1])


IN, PLAIN = "slim.h5ad", "plain.h5ad"
REFUSED = [
    (("compare", IN, "--sample-key", "sampel"), "No column 'sampel' in obs. Did you mean 'sample'?"),
    (("compare", IN, "--sample-key", "sample", "--condition", "no"), "No column 'no' in obs"),
    (("compare", IN, *COMPARE, "--covariate", "batsh"), "Did you mean 'batch'?"),
    (("compare", IN, *COMPARE, "--reference", "no"), "No sample has the condition 'no'"),
    (("compare", IN, *COMPARE[:4], "--min-cells", 1000), "macrophages (--min-cells), but each condition"),
    (("compare", PLAIN, *COMPARE), "Run tamannot annotate IN -o OUT first"),
    (("compare", IN, *COMPARE, "--key", "no"), "no_state"),
    (("compare", IN, "--sample-key", "truth_ambient"), "values have one cell"),
    (("compare", IN, *COMPARE, "--counts", "expected", "--axis", "compartment"), "Use --counts called"),
    (("compare", "absent.h5ad", *COMPARE), "absent.h5ad: no such file"),
    (("compare", "there.h5ad", *COMPARE), "there.h5ad: not an HDF5 file"),
    (("compare", IN, *COMPARE, "-o", "there.h5ad"), "exists. Choose another name, or use --overwrite"),
    (("compare", IN, *COMPARE, "-o", IN, "--overwrite"), "is the input. Choose another name, or use --in-place"),
    (("compare", IN, *COMPARE, "-o", "o.h5ad", "--in-place"), "--in-place writes into the input"),
    (("compare", IN, *COMPARE, "-o", "o.csv"), "must end in .h5ad or .zarr"),
    (("compare", IN, *COMPARE, "--table", "t.xlsx"), "must end in .csv or .tsv or .parquet"),
    (("compare", IN, *COMPARE, "--table", "there.csv"), "exists. Choose another name, or use --overwrite"),
    (("enrich", IN, "--groupby", "no"), "No column 'no' in obs"),
    (("enrich", IN, "--groupby", "sample", "--signatures", "stat"), "Did you mean 'state'?"),
    (("enrich", IN, "--groupby", "sample", "--compartment", "macrophages"), "No cell was called 'macrophages'"),
    (("enrich", PLAIN, "--groupby", "sample"), "Run tamannot annotate IN -o OUT first"),
    (("crosstalk", IN, "--sample-key", "sample", "--malignant", "sample"), "--malignant sample=Malignant"),
    (("crosstalk", IN, "--sample-key", "sample", "--malignant", "no=x"), "No column 'no' in obs"),
    (("crosstalk", IN, *CROSSTALK[:3], "truth_compartment=glial"), "has no value glial. Did you mean 'glial_like'"),
    (("crosstalk", IN, *CROSSTALK, "--malignant", "sample=s01"), "--malignant takes values of one column"),
    (("crosstalk", "in.h5ad", *CROSSTALK[:4], "--min-cells", 500), "Add samples, or lower --min-cells."),
    (("predict", PLAIN, "--model", "labels.npz"), "No output: pass --out or --table."),
    (("predict", PLAIN, "--model", "cohort.npz", "-o", "o.h5ad"), "Give it to tamannot annotate --model."),
    (("predict", PLAIN, "--model", "there.csv", "-o", "o.h5ad"), "not an .npz file"),
    (("predict", PLAIN, "--model", "labels.npz", "-o", "o.h5ad", "--layer", "no"), "No layer 'no'"),
    (("plot", IN, "states", "-o", "f.jpg"), "must end in .png or .pdf or .svg"),
    (("plot", IN, "states", "-o", "there.png"), "exists. Choose another name, or use --overwrite"),
    (("plot", IN, "states", "-o", "f.png", "--groupby", "no"), "No column 'no' in obs"),
    (("plot", IN, "coverage", "-o", "f.png", "--groupby", "sample"), "does not use --groupby"),
    (("plot", IN, "composition", "-o", "f.png", "--condition", "condition"), "--condition without --sample-key"),
    (("plot", IN, "composition", "-o", "f.png"), "Run tamannot compare IN --sample-key S"),
    (("plot", IN, "composition_tests", "--sample-key", "sample", "-o", "f.png"), "--condition C -o OUT.\n"),
    (("plot", IN, "enrichment", "-o", "f.png"), "Run tamannot enrich IN --groupby G"),
    (("plot", IN, "ferroptosis", "-o", "f.png"), "Give --sample-key."),
    (("plot", PLAIN, "states", "-o", "f.png"), "Run tamannot annotate IN -o OUT first"),
    (("plot", IN, "stats", "-o", "f.png"), "is not one of"),
    (("compare", IN), "Missing option '--sample-key'"),
    (("enrich", IN), "Missing option '--groupby'"),
    (("crosstalk", IN, "--sample-key", "sample"), "Missing option '--malignant'"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[" ".join(map(str, words)) for words, _ in REFUSED])
def test_bad_input_gets_one_message_and_exit_2(run, folder, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    for path in folder.glob("*.*"):
        if path.suffix != ".zarr":
            (tmp_path / path.name).symlink_to(path)
    for name in ("there.h5ad", "there.csv", "there.png"):
        (tmp_path / name).write_text("mine")
    before, files = digest(folder / IN), sorted(tmp_path.iterdir())
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Usage: " in err or err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == files
    assert all((tmp_path / f"there.{end}").read_text() == "mine" for end in ("h5ad", "csv", "png"))
    assert digest(folder / IN) == before


def test_in_place_and_overwrite(run, folder, tmp_path):
    path = Path(shutil.copy(folder / "in.h5ad", tmp_path))
    assert run("compare", path, *COMPARE, "--in-place", "--quiet") == (0, "", "")
    assert len(tam.get.composition(ad.read_h5ad(path)))
    out = tmp_path / "t.csv"
    out.write_text("mine")
    assert run("compare", path, *COMPARE, "--table", out, "--overwrite", "--quiet") == (0, "", "")
    assert out.read_text().startswith("label,contrast,")


def test_the_matrix_is_not_read_where_it_is_not_needed(run, folder, tmp_path):
    path = Path(shutil.copy(folder / "in.h5ad", tmp_path))
    with h5py.File(path, "a") as file:
        n = file["X/data"].size
        del file["X/data"]
        file["X"].create_dataset("data", (n,), "f4", chunks=(n,), compression="gzip")
        file["X/data"].id.write_direct_chunk((0,), np.random.default_rng(0).bytes(2 * n))
        with pytest.raises(OSError, match="filter"):
            file["X/data"][0]
    for args in (COMPARE[:2], (*COMPARE, "--no-depth")):
        assert run("compare", path, *args, "--quiet") == (0, "", "")
    for kind in ("states", "coverage"):
        assert run("plot", path, kind, "-o", tmp_path / f"{kind}.png", "--dpi", 50, "--quiet") == (0, "", "")
    code, _, err = run("compare", path, *COMPARE)
    assert (code, "X/data is damaged" in err) == (2, True)


def test_names_in_a_table_cannot_run_in_a_spreadsheet(run, folder, cells, tmp_path):
    cells.obs["sample"] = "=1+" + cells.obs["sample"].astype(str)
    cells.write_h5ad(tmp_path / "in.h5ad")
    args = ("--sample-key", "sample", "--table", tmp_path / "t.csv", "--quiet")
    assert run("compare", tmp_path / "in.h5ad", *args) == (0, "", "")
    assert pd.read_csv(tmp_path / "t.csv")["sample"].str.startswith("'=1+").all()


@pytest.mark.parametrize("command", ["compare", "enrich", "crosstalk", "plot", "predict"])
def test_help(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert "--overwrite" in out
    assert "--out" in out


def test_completion_can_be_installed(run, monkeypatch):
    assert "--install-completion" in run("--help")[1]
    monkeypatch.setenv("_TAMANNOT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tamannot cro")
    monkeypatch.setenv("COMP_CWORD", "1")
    code, out, _ = run()
    assert (code, out.split()) == (0, ["crosstalk"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["is_malignant"], "is_malignant"),
        (["a=b"], ("a", ["b"])),
        (["odd=name"], "odd=name"),
        (["type=A=B", "type=C"], ("type", ["A=B", "C"])),
    ],
)
def test_malignant_words(words, found):
    assert malignant_of(words, ["odd=name", "type"]) == found


@pytest.mark.usefixtures("workers_at_once")
class TestCohortTable:
    @pytest.fixture
    def halves(self, folder, tmp_path) -> list[Path]:
        cells = ad.read_h5ad(folder / "plain.h5ad")
        first = cells.obs["sample"].isin(sorted(cells.obs["sample"].unique())[:4]).to_numpy()
        paths = [tmp_path / "one.h5ad", tmp_path / "two.h5ad"]
        for path, part in zip(paths, (first, ~first), strict=True):
            cells[part].copy().write_h5ad(path)
        return paths

    def test_one_row_per_sample(self, run, halves, tmp_path):
        out, table = tmp_path / "D", tmp_path / "cohort.csv"
        args = ("--out-dir", out, "--cohort-table", table, "--sample-key", "sample", "--tissue", "brain", "--quiet")
        assert run("annotate", *halves, *args) == (0, "", "")
        found = pd.read_csv(table)
        assert found["sample"].tolist() == [f"s{i:02d}" for i in range(1, 9)]
        assert found["file"].tolist() == [str(p) for p in halves for _ in range(4)]
        whole = ad.concat([ad.read_h5ad(out / p.name) for p in halves])
        macrophages = whole.obs[whole.obs["tam_compartment"] == "macrophage"]
        assert found["n_cells"].tolist() == [60] * 8
        assert found["n_macrophages"].tolist() == macrophages.groupby("sample", observed=True).size().tolist()
        for axis in ("origin", "state"):
            shares = pd.crosstab(macrophages["sample"].astype(str), macrophages[f"tam_{axis}"], normalize="index")
            columns = [f"{axis}_{label}" for label in shares]
            np.testing.assert_allclose(found[columns], shares)
            assert found.filter(like=f"{axis}_").sum(axis=1).tolist() == pytest.approx([1.0] * 8)

    def test_a_file_is_a_sample_and_what_fails_is_left_out(self, run, halves, tmp_path):
        (tmp_path / "two.h5ad").write_text("damaged")
        table = tmp_path / "D" / "cohort.tsv"
        code, _, err = run("annotate", *halves, "--out-dir", tmp_path / "D", "--cohort-table", table, "--quiet")
        assert code == 2
        assert "1 of 2 files failed" in err
        found = pd.read_csv(table, sep="\t")
        assert found[["sample", "n_cells"]].to_numpy().tolist() == [["one", 240]]

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("-o", "o.h5ad", "--cohort-table", "c.csv"), "--cohort-table need --out-dir"),
            (("--out-dir", "D", "--cohort-table", "c.txt"), "must end in .csv or .tsv or .parquet"),
            (("--out-dir", "D", "--cohort-table", "there.csv"), "exists. Choose another name, or use --overwrite"),
            (("--out-dir", ".", "--in-place", "--cohort-table", "in.csv", "--tables", "csv"), "written by --tables"),
        ],
    )
    def test_bad_targets_are_refused_before_any_work(self, run, folder, tmp_path, monkeypatch, args, said):
        monkeypatch.chdir(tmp_path)
        shutil.copy(folder / "in.h5ad", tmp_path)
        (tmp_path / "there.csv").write_text("mine")
        code, out, err = run("annotate", "in.h5ad", *args)
        assert (code, out) == (2, "")
        assert said in err
        assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name not in ("in.h5ad", "there.csv")]
