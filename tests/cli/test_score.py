from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot._progress import Progress

pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")


@pytest.fixture
def run(run):
    """Run ``tamannot score``; return exit code, stdout and stderr."""
    return partial(run, "score")


@pytest.fixture
def weighted(tmp_path) -> Path:
    """A signature with weights, as a table."""
    path = tmp_path / "weighted.csv"
    path.write_text("source,target,weight\nmine,CD68,2\nmine,CD14,1\nmine,AIF1,0.5\n")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def expected(example, signatures, *, kind="score", **choices):
    tam.tl.score(example, signatures, min_coverage=0, **choices)
    return tam.get.scores(example, kind=kind)


def test_the_states_are_scored_unless_told_otherwise(run, example_file, example, tmp_path):
    before = digest(example_file)
    code, out, err = run(example_file, "-o", tmp_path / "out.h5ad", "--table", tmp_path / "t.csv", "--min-coverage", 0)
    assert (code, err) == (0, "")
    assert "184 cells; ucell on X (linear)" in out
    assert "lipid_associated   23 of 31" in out
    assert out.count("\n") <= 10
    back, table = ad.read_h5ad(tmp_path / "out.h5ad"), pd.read_csv(tmp_path / "t.csv", index_col="cell")
    wanted = expected(example, tam.load_signatures(axis="state"))
    pd.testing.assert_frame_equal(tam.get.scores(back), wanted, check_names=False)
    np.testing.assert_array_equal(table.to_numpy(np.float32), wanted)
    assert (back.X != example.X).nnz == 0
    assert digest(example_file) == before
    assert {p.name for p in tmp_path.iterdir()} == {"out.h5ad", "t.csv"}


def test_parquet_and_zarr(run, example_file, example, tmp_path):
    pytest.importorskip("pyarrow")
    args = ("--signatures", "m1", "--table", tmp_path / "t.parquet", "-o", tmp_path / "o.zarr", "--min-coverage", 0)
    assert run(example_file, *args)[0] == 0
    wanted = expected(example, tam.load_signature("m1"))
    table = pd.read_parquet(tmp_path / "t.parquet")
    np.testing.assert_array_equal(table, wanted)
    assert table.index.tolist() == example.obs_names.tolist()
    np.testing.assert_array_equal(tam.get.scores(ad.read_zarr(tmp_path / "o.zarr")), wanted)


def test_null_writes_z_and_p(run, example_file, example, tmp_path):
    out = tmp_path / "o.h5ad"
    code, _, _ = run(example_file, "-o", out, "--null", "--signatures", "m1", "--min-coverage", 0)
    assert code == 0
    back = ad.read_h5ad(out)
    for kind in ("z", "p"):
        wanted = expected(example, tam.load_signature("m1"), null="matched", kind=kind)
        np.testing.assert_array_equal(tam.get.scores(back, kind=kind), wanted)


def test_min_coverage_leaves_signatures_out_and_says_so(run, example_file, tmp_path):
    args = ("--table", tmp_path / "t.csv", "--signatures", "hypoxic", "--signatures", "interferon_primed")
    code, out, err = run(example_file, *args)
    assert (code, err) == (0, "")
    assert "note     Not scored, because fewer than 50% of their genes are in the data: interferon_primed." in out
    assert pd.read_csv(tmp_path / "t.csv")["interferon_primed"].isna().all()
    assert run(example_file, *args, "--overwrite", "--min-coverage", 0.2)[0] == 0
    assert pd.read_csv(tmp_path / "t.csv")["interferon_primed"].notna().all()


def test_axes_ids_and_files_may_be_mixed(run, example_file, weighted, tmp_path):
    (tmp_path / "own.gmt").write_text("my_set\tnone\tCD68\tCD14\tAIF1\n")
    words = ["origin", "m1@1.0.0", tmp_path / "own.gmt", weighted]
    args = [a for word in words for a in ("--signatures", word)]
    assert run(example_file, "--table", tmp_path / "t.csv", "--min-coverage", 0, *args)[0] == 0
    assert pd.read_csv(tmp_path / "t.csv").columns.tolist() == [
        *("cell", "border_associated", "microglia", "monocyte_derived", "m1", "my_set", "mine")
    ]


@pytest.mark.parametrize("method", ["ucell", "aucell", "aucell_pyscenic", "module", "mean"])
def test_methods_by_name(run, example_file, example, tmp_path, method):
    args = ("--table", tmp_path / "t.csv", "--signatures", "m1", "--method", method, "--min-coverage", 0)
    code, out, _ = run(example_file, *args)
    assert code == 0
    assert f"{method} on X (linear)" in out
    wanted = expected(example, tam.load_signature("m1"), method=method)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "t.csv", index_col="cell"), wanted, atol=1e-6)


def test_weights_have_to_be_ignored_by_name_where_there_is_no_place_for_them(
    run, example_file, example, weighted, tmp_path
):
    table = tmp_path / "t.csv"
    args = (example_file, "--table", table, "--signatures", weighted, "--method", "ucell_legacy")
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert "Signature 'mine' has weights (CD68, AIF1)" in err
    assert "Set --ignore-weights to score" in err
    assert err.count("\n") == 1
    assert not table.exists()
    assert run(*args, "--ignore-weights")[0] == 0
    plain = tam.read_signatures({"mine": ["CD68", "CD14", "AIF1"]})
    wanted = expected(example, plain, method="ucell_legacy")
    np.testing.assert_allclose(pd.read_csv(table, index_col="cell"), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("lipid_asociated", "Did you mean 'lipid_associated', '"),
        ("stat", "Did you mean 'state'?"),
        ("nothing_like_it", "or a human signature. All ids: tamannot signatures list"),
        ("absent.gmt", "'absent.gmt' is not a file, an axis (compartment, origin, state"),
        ("m1@9.9.9", "No version '9.9.9' of signature 'm1'. Available: 1.0.0, 2.0.0."),
        ("x" * 5000, "is not a file, an axis"),
        ("a\x1b[31m", "'a\\x1b[31m' is not a file"),
    ],
)
def test_a_word_that_names_nothing_gets_a_short_answer(run, example_file, tmp_path, word, said):
    code, out, err = run(example_file, "--table", tmp_path / "t.csv", "--signatures", word)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert len(err) < 500
    assert not list(tmp_path.iterdir())


def _scaled(adata: ad.AnnData) -> None:
    adata.X = adata.X.toarray() - 1


def _no_known_gene(adata: ad.AnnData) -> None:
    adata.var_names = [f"gene{i}" for i in range(adata.n_vars)]


@pytest.mark.parametrize(
    ("spoil", "args", "message"),
    [
        (_scaled, [], "No usable expression matrix. X: not usable, it has negative values"),
        (_no_known_gene, [], "No known gene: none of the 9,450 ids of X in var_names"),
        (None, ["--layer", "nothing"], "No layer 'nothing' in the data. Available: X."),
        (None, ["--gene-symbols", "nothing"], "No column 'nothing' in var"),
        (None, ["--method", "mean", "--null"], "works with rank-based methods"),
        (None, ["--signatures", "BAD"], "bad.toml: cannot be read as a signature file"),
    ],
)
def test_bad_input_gets_one_message_and_exit_2(run, example, tmp_path, spoil, args, message):
    if spoil:
        spoil(example)
    example.write_h5ad(tmp_path / "in.h5ad")
    (tmp_path / "bad.toml").write_text("nonsense")
    args = [tmp_path / "bad.toml" if a == "BAD" else a for a in args]
    before, files = digest(tmp_path / "in.h5ad"), sorted(tmp_path.iterdir())
    code, out, err = run(tmp_path / "in.h5ad", "-o", tmp_path / "out.h5ad", "--table", tmp_path / "t.csv", *args)
    assert (code, out) == (2, "")
    assert err.startswith("tamannot: ")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == files
    assert digest(tmp_path / "in.h5ad") == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-o", "o.txt"], "must end in .h5ad or .zarr"),
        (["--table", "o.xlsx"], "must end in .csv or .parquet"),
        ([], "No output: pass"),
        (["-o", "there.h5ad"], "already exists. Choose another name, or use --overwrite"),
    ],
)
def test_bad_targets_are_refused_before_any_work(run, example_file, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    Path("there.h5ad").write_text("mine")
    code, out, err = run(example_file, *args)
    assert (code, out) == (2, "")
    assert message in err
    assert [p.name for p in tmp_path.iterdir()] == ["there.h5ad"]
    assert Path("there.h5ad").read_text() == "mine"


@pytest.mark.parametrize("args", [["--method", "magic"], ["--min-coverage", "2"], ["--threads", "0"]])
def test_options_out_of_range_exit_2(run, example_file, tmp_path, args):
    code, out, err = run(example_file, "--table", tmp_path / "t.csv", *args)
    assert (code, out) == (2, "")
    assert args[0] in err


def test_json_is_for_pipelines(run, example_file, tmp_path):
    code, out, err = run(example_file, "--table", tmp_path / "t.csv", "--json")
    summary = json.loads(out, parse_constant=pytest.fail)  # no NaN: it is not JSON
    assert (code, err) == (0, "")
    assert summary["outputs"] == [str(tmp_path / "t.csv")]
    assert summary["signatures"]["interferon_primed"]["mean"] is None
    assert summary["signatures"]["lipid_associated"]["n_present"] == 23
    assert len(summary["notes"]) == 1


def test_quiet_prints_nothing_however_long_it_takes(run, example_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.cli._show.Progress", lambda *, show, after: Progress(show=show, after=0))
    args = ("--table", tmp_path / "t.csv", "--threads", 1, "--overwrite")
    assert run(example_file, *args)[2] == "tamannot: reading file\n"
    assert run(example_file, *args, "--quiet") == (0, "", "")


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "--ignore-weights" in out


def test_two_signatures_of_one_id_are_refused(run, example_file, tmp_path):
    for name, genes in (("one", "CD68\tCD14"), ("two", "CD68\tAIF1"), ("same", "CD14\tCD68")):
        (tmp_path / f"{name}.gmt").write_text(f"mine\tx\t{genes}\n")
    (tmp_path / "lam.gmt").write_text("lipid_associated\tx\tTREM2\tGPNMB\n")
    one, two, same, lam = (tmp_path / f"{name}.gmt" for name in ("one", "two", "same", "lam"))
    for first, second, place in ((one, two, one), (lam, "state", lam), ("state", lam, "the library")):
        code, out, err = run(example_file, "--table", tmp_path / "s.csv", "--signatures", first, "--signatures", second)
        assert (code, out) == (2, "")
        assert f"is another than that in {place}. Rename one of the two." in err
    given = ["--signatures", one, "--signatures", same, "--min-coverage", 0]
    assert run(example_file, "--table", tmp_path / "s.csv", *given)[0] == 0
