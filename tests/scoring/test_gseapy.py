"""ssGSEA and GSVA: what a direct call of gseapy gives."""

from __future__ import annotations

import anndata as ad
import gseapy
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ParameterError, TamannotWarning
from tamannot.tl import _score

N_CELLS, N_GENES = 7, 120
SETS = {"one": [f"g{i}" for i in range(0, 120, 9)], "other": [f"g{i}" for i in range(5, 60, 4)]}
SIGNED = {"signed": [*SETS["one"], *(f"{g}-" for g in SETS["other"] if g not in SETS["one"])]}
CALLS = {tam.SSGSEA: gseapy.ssgsea, tam.GSVA: gseapy.gsva}


@pytest.fixture
def logs():
    rng = np.random.default_rng(0)
    values = np.log1p(rng.poisson(rng.lognormal(0, 1, N_GENES), (N_CELLS, N_GENES)) * rng.uniform(1, 9, (N_CELLS, 1)))
    names = pd.DataFrame(index=[f"s{i}" for i in range(N_CELLS)]), pd.DataFrame(index=[f"g{i}" for i in range(N_GENES)])
    return ad.AnnData(sp.csr_matrix(values), obs=names[0], var=names[1])


def scored(adata, sets, method):
    tam.tl.score(adata, tam.read_signatures(sets), method=method, species="human", min_coverage=0)
    return tam.get.scores(adata)


def called(adata, sets, function, **options):
    """Call gseapy itself."""
    table = pd.DataFrame(adata.X.toarray().T, index=adata.var_names, columns=adata.obs_names)
    found = function(data=table, gene_sets=sets, outdir=None, min_size=1, max_size=N_GENES, threads=1, **options)
    return found.res2d.pivot(index="Name", columns="Term", values="ES").astype(float).loc[adata.obs_names, list(sets)]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (tam.SSGSEA(), {"sample_norm_method": "rank", "weight": 0.25}),
        (tam.SSGSEA(norm="log_rank", exponent=0.75), {"sample_norm_method": "log_rank", "weight": 0.75}),
        (tam.GSVA(), {"kcdf": "Gaussian", "mx_diff": True, "weight": 1.0}),
        (tam.GSVA(kcdf=None, max_diff=False), {"kcdf": None, "mx_diff": False, "weight": 1.0}),
    ],
    ids=str,
)
def test_scores_are_the_enrichment_scores_of_a_direct_call(logs, method, options):
    expected = called(logs, SETS, CALLS[type(method)], **options)
    np.testing.assert_allclose(scored(logs, SETS, method), expected, rtol=1e-6)


@pytest.mark.parametrize("method", [tam.SSGSEA(), tam.GSVA()], ids=lambda m: m.name)
def test_down_genes_are_a_set_of_their_own_subtracted(logs, method):
    down = [g.removesuffix("-") for g in SIGNED["signed"] if g.endswith("-")]
    parts = scored(logs.copy(), {"up": SETS["one"], "down": down}, method)
    got = scored(logs, SIGNED | {"only": [f"{g}-" for g in down]}, method)
    np.testing.assert_allclose(got["signed"], parts["up"] - parts["down"], rtol=1e-5)
    np.testing.assert_allclose(got["only"], -parts["down"], rtol=1e-5)


def test_cells_scored_a_few_at_a_time_have_the_same_ssgsea(logs, monkeypatch):
    at_once = scored(logs.copy(), SETS, tam.SSGSEA())
    monkeypatch.setattr(_score, "_CELLS_AT_ONCE", 3)
    pd.testing.assert_frame_equal(scored(logs, SETS, tam.SSGSEA()), at_once)


def test_counts_are_brought_to_logarithms(logs):
    counts = logs.copy()
    counts.X = sp.csr_matrix(np.rint(np.expm1(counts.X.toarray())))
    total = counts.X.sum(axis=1)
    logs.X = sp.csr_matrix(np.log1p(counts.X.toarray() / np.asarray(total).reshape(-1, 1) * 1e4))
    one, other = scored(counts, SETS, tam.GSVA()), scored(logs, SETS, tam.GSVA())
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("method", ["ssgsea", "gsva"])
def test_a_set_without_genes_in_the_data_is_zero(logs, method):
    assert (scored(logs, SETS | {"absent": ["CD68"]}, method)["absent"] == 0).all()


@pytest.mark.parametrize("method", ["ssgsea", "gsva"])
def test_many_cells_are_warned_of_with_what_to_do(logs, method, monkeypatch):
    assert _score.MANY_CELLS == 2000
    monkeypatch.setattr(_score, "MANY_CELLS", N_CELLS)
    scored(logs, SETS, method)
    monkeypatch.setattr(_score, "MANY_CELLS", N_CELLS - 1)
    with pytest.warns(TamannotWarning, match=rf"{method} is meant for pseudobulk; 7 cells .* Sum the counts"):
        scored(logs, SETS, method)


@pytest.mark.parametrize(
    ("make", "settings", "says"),
    [
        (tam.SSGSEA, {"exponent": -0.1}, "exponent"),
        (tam.SSGSEA, {"exponent": float("nan")}, "exponent"),
        (tam.SSGSEA, {"norm": "ranks"}, "'ranks'"),
        (tam.SSGSEA, {"weights": "no"}, "'no'"),
        (tam.SSGSEA, {"scale": "raw"}, "'raw'"),
        (tam.GSVA, {"exponent": -1}, "exponent"),
        (tam.GSVA, {"kcdf": "gaussian"}, "'gaussian'"),
        (tam.GSVA, {"weights": "no"}, "'no'"),
        (tam.GSVA, {"scale": "raw"}, "'raw'"),
    ],
)
def test_setting_out_of_range_is_refused(make, settings, says):
    with pytest.raises(ParameterError, match=says):
        make(**settings)
