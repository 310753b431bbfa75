"""States and origins as points on an embedding."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import tamannot as tam
from tamannot.errors import ParameterError
from tamannot.pl._cells import EMBEDDINGS, some_of
from tamannot.pl._style import colors_of


def legend(ax) -> list[str]:
    return [t.get_text() for t in ax.get_legend().get_texts()]


def colors(points) -> set[tuple[float, ...]]:
    return {tuple(c) for c in np.unique(points.get_facecolors()[:, :3], axis=0)}


def test_macrophages_lie_above_light_grey_others(made):
    others, inside = tam.pl.states(made).collections
    is_macrophage = (made.obs["tam_compartment"] == "macrophage").to_numpy()
    assert len(others.get_offsets()) == (~is_macrophage).sum()
    assert len(inside.get_offsets()) == is_macrophage.sum()
    assert others.get_zorder() < inside.get_zorder()
    assert colors(others) == {to_rgb("#dddddd")}
    assert {to_rgb("#999999"), to_rgb("#f0e442")} <= colors(inside)  # unassigned and transitional


@pytest.mark.parametrize(("draw", "axis"), [(tam.pl.states, "state"), (tam.pl.origins, "origin")])
def test_every_cell_has_the_colour_of_its_label(made, draw, axis):
    labels = made.obs[f"tam_{axis}"]
    inside = draw(made).collections[1]
    at = {tuple(np.round(xy, 6)): label for xy, label in zip(made.obsm["X_umap"], labels, strict=True)}
    own = colors_of(made, "tam", axis)
    for place, color in zip(inside.get_offsets()[:200], inside.get_facecolors()[:200], strict=True):
        assert tuple(color[:3]) == to_rgb(own[at[tuple(np.round(place, 6))]])


def test_the_legend_counts_cells_and_shares(made):
    counts = made.obs["tam_state"].value_counts()
    n = counts.drop("not_macrophage").sum()
    said = legend(tam.pl.states(made))
    k = counts["unassigned"]
    assert f"unassigned  {k:,} ({k / n:.1%})" in said
    assert said[-1] == f"not macrophage  {counts['not_macrophage']:,}"
    assert sum(int(re.search(r"  ([\d,]+)", t)[1].replace(",", "")) for t in said) == made.n_obs


def test_the_first_of_the_known_embeddings_is_taken(made):
    made.obsm["X_tsne"], made.obsm["X_own"] = made.obsm["X_umap"] + 100, made.obsm["X_umap"] - 100
    assert EMBEDDINGS[:2] == ("X_umap", "X_tsne")
    assert tam.pl.states(made).get_xlabel() == "UMAP 1"
    del made.obsm["X_umap"]
    assert tam.pl.states(made).get_xlabel() == "TSNE 1"
    del made.obsm["X_tsne"]
    assert tam.pl.states(made).get_xlabel() == "share of macrophages, as called"


@pytest.mark.parametrize("basis", ["own", "X_own"])
def test_a_basis_is_found_with_and_without_x(made, basis):
    made.obsm["X_own"] = pd.DataFrame(made.obsm["X_umap"] - 100, index=made.obs_names, columns=["a", "b"])
    ax = tam.pl.states(made, basis=basis)
    assert ax.get_xlabel() == "OWN 1"
    assert ax.get_xlim()[1] < 0


def test_cells_without_a_place_are_counted_and_not_drawn(made):
    made.obsm["X_umap"][:50] = np.nan
    ax = tam.pl.states(made)
    assert sum(len(c.get_offsets()) for c in ax.collections) == made.n_obs - 50
    assert "1,950 of 2,000 cells drawn" in ax.get_legend().get_title().get_text()
    assert f"{(made.obs['tam_state'] == 'not_macrophage').sum():,}" in legend(ax)[-1]


def test_groups_are_always_bars(made):
    ax = tam.pl.states(made, groupby="sample")
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"s{i}" for i in range(5)]


def test_of_many_cells_some_are_drawn_the_same_ones_and_rare_labels_keep_theirs(made):
    def draw(**options):
        ax = tam.pl.states(made, max_points=500, **options)
        return np.concatenate([c.get_offsets() for c in ax.collections])

    assert len(draw()) <= 500
    np.testing.assert_array_equal(draw(), draw(rng=0))
    assert not np.array_equal(draw(), draw(rng=1))
    codes = np.repeat([0, 1], [100_000, 20])
    kept = codes[some_of(codes, 2, 1000, 0)]
    assert (kept == 1).sum() == 20
    assert 900 <= kept.size <= 1000


def test_given_axes_are_used_and_nothing_is_written(made):
    _, ax = plt.subplots()
    before = made.copy()
    assert tam.pl.origins(made, ax=ax) is ax
    assert set(made.uns) == set(before.uns)
    assert list(made.obs) == list(before.obs)


def test_refused(made):
    with pytest.raises(ParameterError, match=r"No embedding 'tsne' in obsm\. There are: X_umap, tam_z, tam_p"):
        tam.pl.states(made, basis="tsne")
    with pytest.raises(ParameterError, match="Give one of them"):
        tam.pl.origins(made, basis="umap", groupby="sample")
    with pytest.raises(ParameterError, match="max_points is 10"):
        tam.pl.states(made, max_points=10)
    made.obsm["X_line"] = made.obsm["X_umap"][:, :1]
    with pytest.raises(ParameterError, match="fewer than two columns"):
        tam.pl.states(made, basis="line")
    assert not plt.get_fignums()
