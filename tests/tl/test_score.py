from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import (
    CoverageWarning,
    GeneIdError,
    ParameterError,
    SignatureFormatError,
    SpeciesError,
)


def test_a_signature_below_the_coverage_is_nan_and_named(tiny):
    signatures = tam.read_signatures({"here": list(tiny.var_names[:5]), "away": [tiny.var_names[0], "X1", "X2"]})
    with pytest.warns(CoverageWarning, match="not scored: away"):
        tam.tl.score(tiny, signatures)
    scores = tam.get.scores(tiny)
    assert scores["away"].isna().all()
    assert scores["here"].notna().all()
    assert tiny.uns["tamannot"]["tam"]["warnings"].tolist() == ["low coverage: away"]


def test_min_coverage_zero_scores_what_is_there_and_an_absent_set_gets_zero(tiny):
    tam.tl.score(tiny, tam.read_signatures({"here": [tiny.var_names[0]], "away": ["X1", "X2"]}), min_coverage=0)
    assert (tam.get.scores(tiny)["away"] == 0).all()


def test_coverage_counts_genes(tiny):
    tam.tl.score(tiny, tam.read_signatures({"a": [tiny.var_names[0], "X2"]}), min_coverage=0)
    row = tam.get.coverage(tiny).loc["a"]
    assert (row["n_genes"], row["n_present"], row["coverage"], row["missing"]) == (2, 1, 0.5, "X2")


def test_tables_are_replaced_as_a_group(example):
    lam = tam.load_signature("lipid_associated")
    tam.tl.score(example, lam, null="matched")
    assert "tam_z" in example.obsm
    tam.tl.score(example, lam)
    assert "tam_z" not in example.obsm
    assert "tam_p" not in example.obsm


def test_null_reference_gives_a_cell_alone_the_z_of_its_atlas(example):
    states = tam.load_signatures(axis="state")
    tam.tl.score(example, states, null="matched", min_coverage=0)
    alone = example[[3]].copy()
    tam.tl.score(alone, states, null="matched", null_reference=example, min_coverage=0)
    for kind in ("score", "z", "p"):
        pd.testing.assert_frame_equal(tam.get.scores(alone, kind=kind), tam.get.scores(example, kind=kind).iloc[[3]])


def test_null_reference_survives_a_file_and_another_order_of_genes(example, tmp_path):
    import anndata as ad

    states = tam.load_signatures(axis="state")
    tam.tl.score(example, states, null="matched", min_coverage=0)
    example.write_h5ad(tmp_path / "a.h5ad")
    shuffled = example[:5, ::-1].copy()
    reference = ad.read_h5ad(tmp_path / "a.h5ad")
    tam.tl.score(shuffled, states, null="matched", null_reference=reference, min_coverage=0)
    pd.testing.assert_frame_equal(tam.get.scores(shuffled, kind="z"), tam.get.scores(example, kind="z").iloc[:5])


def test_adding_a_signature_changes_no_other(example):
    one = tam.load_signature("inflammatory")
    tam.tl.score(example, one, null="matched")
    before = {kind: tam.get.scores(example, kind=kind)[one.id] for kind in ("score", "z", "p")}
    tam.tl.score(example, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
    for kind, values in before.items():
        pd.testing.assert_series_equal(tam.get.scores(example, kind=kind)[one.id], values)


def test_human_signatures_on_mouse_data_are_refused(tiny):
    tiny.var_names = tiny.var_names.str.title()
    with pytest.raises(SpeciesError, match=r'load_signatures\(species="mouse"\)'):
        tam.tl.score(tiny, tam.load_signatures(axis="state"))


def test_own_symbols_of_any_species_are_taken_as_they_are(tiny):
    tiny.var_names = tiny.var_names.str.title()
    tam.tl.score(tiny, tam.read_signatures({"mine": list(tiny.var_names[:6])}))
    assert tam.get.scores(tiny)["mine"].notna().all()


def test_no_known_gene(tiny):
    with pytest.raises(GeneIdError, match=r"No known gene: none of the 40 ids by var_names \(first: "):
        tam.tl.score(tiny, tam.read_signatures({"mine": ["X1", "X2"]}))


def test_more_genes_than_ranks_is_refused(tiny):
    with pytest.raises(SignatureFormatError, match="more than the 10 ranks"):
        tam.tl.score(tiny, tam.read_signatures({"long": list(tiny.var_names)}), method=tam.UCell(max_rank=10))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"method": "magic"}, "No method 'magic'"),
        ({"min_coverage": 2}, "between 0 and 1"),
        ({"null": "random"}, "null is None or 'matched'"),
        ({"layer": "nothing"}, "No layer 'nothing'.*X"),
        ({"gene_symbols": "nothing"}, "No column 'nothing' in var"),
    ],
)
def test_parameters_out_of_range_are_refused(tiny, choices, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.score(tiny, tam.load_signatures(axis="state"), **choices)
    assert not tiny.obsm


def test_null_reference_without_a_null_is_refused(example):
    lam = tam.load_signature("lipid_associated")
    with pytest.raises(ParameterError, match="null_reference is for null='matched'"):
        tam.tl.score(example, lam, null_reference=example)
    other = example.copy()
    tam.tl.score(other, lam)
    with pytest.raises(ParameterError, match="without a null"):
        tam.tl.score(example, lam, null="matched", null_reference=other)


def test_p_are_one_sided_probabilities_that_fall_with_z(example):
    tam.tl.score(example, tam.load_signature("immunoregulatory_complement"), null="matched")
    z = tam.get.scores(example, kind="z").iloc[:, 0].to_numpy()
    p = tam.get.scores(example, kind="p").iloc[:, 0].to_numpy()
    known = np.isfinite(p)
    assert ((p[known] >= 0) & (p[known] <= 1)).all()
    assert p[known][z[known] > 4].max() < 0.01
    assert p[known][z[known] < 0].min() > 0.3
