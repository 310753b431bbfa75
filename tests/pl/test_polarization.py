from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


def said(ax) -> str:
    return ax.get_title(loc="left")


def test_points_are_the_z_of_macrophages_and_transitional_stand_out(made):
    ax = tam.pl.polarization(made)
    rest, both = ax.collections
    inside = made.obs["tam_state"] != "not_macrophage"
    is_both = (made.obs["tam_state"] == "transitional").to_numpy()
    assert len(rest.get_offsets()) + len(both.get_offsets()) == inside.sum()
    z = made.obsm["tam_z"][["m1", "m2"]].to_numpy()[is_both]
    np.testing.assert_allclose(np.sort(both.get_offsets(), axis=0), np.sort(z, axis=0), rtol=1e-6)
    assert ax.get_legend().get_texts()[0].get_text() == f"transitional ({is_both.sum()})"
    assert both.get_zorder() > rest.get_zorder()


def test_shares_are_of_the_macrophages(made):
    inside = (made.obs["tam_state"] != "not_macrophage").to_numpy()
    one, other = (made.obsm["tam_p"][["m1", "m2"]].to_numpy()[inside] < 0.01).T
    assert f"only m1 {(one & ~other).mean():.1%}, only m2 {(other & ~one).mean():.1%}" in said(
        tam.pl.polarization(made)
    )


def test_many_cells_are_hexagons_that_count_them_all(make):
    adata = make(15_000)
    ax = tam.pl.polarization(adata)
    (hexagons,) = (c for c in ax.collections if isinstance(c, PolyCollection))
    assert hexagons.get_array().sum() == (adata.obs["tam_state"] != "not_macrophage").sum()


def test_genes_are_drawn_by_their_expression(annotated):
    ax = tam.pl.polarization(annotated, by=("SPP1", "CD74"))
    inside = (annotated.obs["tam_compartment"] == "macrophage").to_numpy()
    x = annotated[inside, ["SPP1", "CD74"]].X.toarray()
    x = np.log1p(x / np.asarray(annotated.X.sum(axis=1))[inside] * 1e4)
    np.testing.assert_allclose(np.sort(ax.collections[0].get_offsets(), axis=0), np.sort(x, axis=0), rtol=1e-4)
    neither = (x == 0).all(axis=1).mean()
    assert f"neither {neither:.1%}" in said(ax)
    assert ax.get_ylabel() == "CD74: log expression"


def test_samples_are_means_of_their_macrophages(made):
    made.obs["sample"] = np.where(np.arange(made.n_obs) < 1950, "large", "small")
    ax = tam.pl.polarization(made, sample_key="sample")
    inside = made.obs["tam_state"] != "not_macrophage"
    means = made.obsm["tam_z"][inside].groupby(made.obs["sample"][inside])[["m1", "m2"]].mean()
    np.testing.assert_allclose(ax.collections[0].get_offsets(), means, rtol=1e-4, atol=1e-6)
    assert [t.get_text() for t in ax.texts] == ["large", "small"]
    filled = ax.collections[0].get_facecolors()
    assert filled[1].tolist() == [1, 1, 1, 1] != filled[0].tolist()
    assert ax.get_legend().get_texts()[0].get_text() == "fewer than 30 macrophages"


def test_without_a_p_no_shares_are_said(annotated):
    assert "too few genes" in said(tam.pl.polarization(annotated))  # 3 of 10 genes of m1


def test_refused(made, annotated, example):
    with pytest.raises(ParameterError, match="a pair"):
        tam.pl.polarization(made, by=("m1", "m1"))
    with pytest.raises(ParameterError, match="two of a kind"):
        tam.pl.polarization(made, by=("m1", "SPP1"))
    with pytest.raises(ParameterError, match="No gene XYZ1 in the matrix 'X'"):
        tam.pl.polarization(annotated, by=("XYZ1", "SPP1"))
    with pytest.raises(ResultNotFoundError, match="no macrophages"):
        tam.pl.polarization(made[made.obs["tam_state"] == "not_macrophage"].copy())
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.polarization(example)
    assert not plt.get_fignums()
