from __future__ import annotations

import io

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot._progress import Progress
from tamannot.errors import ParameterError, SignatureNotFoundError
from tamannot.io import score_file
from tamannot.io._score import signatures_named

pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")


def test_the_file_has_what_score_writes(example_file, example, tmp_path):
    words = ["state", "m1"]
    summary = score_file(
        example_file, tmp_path / "o.h5ad", signatures=words, null="matched", min_coverage=0, key_added="k"
    )
    back = ad.read_h5ad(tmp_path / "o.h5ad")
    wanted = tam.load_signatures(axis="state") | tam.SignatureSet([tam.load_signature("m1")])
    tam.tl.score(example, wanted, null="matched", min_coverage=0, key_added="k")
    for kind in ("score", "z", "p"):
        pd.testing.assert_frame_equal(tam.get.scores(back, "k", kind=kind), tam.get.scores(example, "k", kind=kind))
    assert set(back.obsm) == set(example.obsm)
    assert (summary.n_obs, summary.matrix, summary.kind, summary.method) == (184, "X", "linear", "ucell")
    (note,) = summary.notes
    assert note.startswith("Missing in the data: 23 of 34 genes of immunoregulatory: AGFG1, ARHGAP18")


def test_signatures_may_be_values_and_methods_settings(example_file, example, tmp_path):
    own = tam.read_signatures({"mine": ["CD68", "CD14", "AIF1"]})
    score_file(example_file, None, table=tmp_path / "t.csv", signatures=own, method=tam.UCell(max_rank=500))
    tam.tl.score(example, own, method=tam.UCell(max_rank=500))
    table = pd.read_csv(tmp_path / "t.csv", index_col="cell")
    np.testing.assert_allclose(table, tam.get.scores(example), rtol=1e-6)


def test_the_summary_has_what_was_found(example_file, example, tmp_path):
    summary = score_file(example_file, None, table=tmp_path / "t.csv", signatures=["state"])
    with pytest.warns(tam.errors.CoverageWarning):
        tam.tl.score(example, tam.load_signatures(axis="state"))
    scores = tam.get.scores(example)
    pd.testing.assert_series_equal(summary.signatures["mean"], scores.mean(), check_names=False)
    pd.testing.assert_series_equal(summary.signatures["max"], scores.max(), check_names=False)
    assert np.isnan(summary.signatures.loc["interferon_primed", "mean"])
    (note,) = summary.notes
    few = "immunoregulatory, interferon_primed, pro_angiogenic"
    assert note.startswith(f"Fewer than 50% of the genes are in the data; not scored: {few}. Missing in")


def test_words_may_name_the_same_signature_twice(tmp_path):
    tam.write_signatures(tam.load_signatures(axis="polarization"), tmp_path / "two.gmt")
    named = signatures_named(["m1", "polarization", "m1@1.0.0", tmp_path / "two.gmt"], "human")
    assert list(named) == ["m1", "m2"]


def test_words_are_those_of_the_species():
    assert {s.species for s in signatures_named(["state"], "mouse").values()} == {"mouse"}
    with pytest.raises(SignatureNotFoundError, match="no mouse signature"):
        signatures_named(["no_such_id"], "mouse")


def test_a_mouse_file_takes_mouse_signatures(example, tmp_path):
    mouse = tam.load_signatures(axis="state", species="mouse")
    genes = sorted({g.symbol for s in mouse.values() for g in s.all_genes})
    adata = example[:, : len(genes)].copy()
    adata.var_names = genes
    adata.write_h5ad(tmp_path / "in.h5ad")
    score_file(tmp_path / "in.h5ad", tmp_path / "o.h5ad", signatures=["lipid_associated"])
    record = ad.read_h5ad(tmp_path / "o.h5ad").uns["tamannot"]["tam"]
    assert record["signatures"].loc["lipid_associated", "digest"] == mouse["lipid_associated"].digest


def test_the_report_is_told_stages_and_cells(example_file, tmp_path):
    stream = io.StringIO()
    report = Progress(after=0, stream=stream)
    score_file(example_file, None, table=tmp_path / "t.csv", signatures=["m1"], null="matched", report=report)
    report.close()
    assert set(report.seconds) == {"reading file", "reading", "expression bins", "scoring", "writing"}
    assert stream.getvalue() == "tamannot: reading file\n"


def test_without_a_report_nothing_is_shown(example_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(Progress.__init__.__kwdefaults__, "after", 0.0)
    score_file(example_file, None, table=tmp_path / "t.csv", signatures=["m1"], min_coverage=0)
    assert capsys.readouterr() == ("", "")


def test_an_error_leaves_no_output(example_file, tmp_path):
    for choices in ({"min_coverage": 2}, {"key_added": "a/b"}, {"method": "magic"}):
        with pytest.raises(ParameterError):
            score_file(example_file, tmp_path / "o.h5ad", table=tmp_path / "t.csv", signatures=["m1"], **choices)
    assert not list(tmp_path.iterdir())
