"""States and origins as points on an embedding."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.pl._cells import EMBEDDINGS, rows_to_draw
from tamannot.pl._style import colors_of, pretty


def test_one_bar_an_origin_that_fills_the_axis(annotated):
    ax = tam.pl.states(annotated)
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["microglia", "monocyte-derived", "unassigned"]
    assert sum(p.get_width() for p in ax.patches) == pytest.approx(len(names))


def test_legend_has_the_states_that_occur(annotated):
    ax = tam.pl.states(annotated)
    shown = {t.get_text() for t in ax.get_legend().get_texts()}
    here = annotated.obs.loc[annotated.obs["tam_compartment"] == "macrophage", "tam_state"]
    assert shown == {pretty(s) for s in here.unique()}


def test_groupby_a_sample(annotated):
    ax = tam.pl.states(annotated, groupby="patient")
    macrophages = annotated.obs[annotated.obs["tam_compartment"] == "macrophage"]
    assert len(ax.get_yticklabels()) == macrophages["patient"].nunique()


def test_given_axes_are_used(annotated):
    _, ax = plt.subplots()
    assert tam.pl.states(annotated, ax=ax) is ax


def test_no_macrophages(annotated):
    rest = annotated[annotated.obs["tam_compartment"] != "macrophage"].copy()
    assert [t.get_text() for t in tam.pl.states(rest).get_yticklabels()] == ["no macrophages"]


def test_unknown_column_and_unannotated_data(annotated, example):
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.states(annotated, groupby="nothing")
    with pytest.raises(ResultNotFoundError):
        tam.pl.states(example)


# Origins.


def rows(ax) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def test_without_an_embedding_bars_are_by_the_sample_of_the_run(made):
    del made.obsm["X_umap"]
    ax = tam.pl.origins(made)
    assert rows(ax) == ["s0", "s1", "s2", "s3", "s4"]
    inside = made.obs[made.obs["tam_origin"] != "not_macrophage"]
    n = inside["sample"].value_counts(sort=False)
    assert [t.get_text() for t in ax.texts] == [f"n = {k:,}" for k in n]
    share = (inside["tam_origin"] == "microglia").groupby(inside["sample"], observed=True).mean()
    assert [p.get_width() for p in ax.containers[0]] == pytest.approx(share.tolist())


def test_without_a_sample_it_is_one_bar(annotated):
    ax = tam.pl.origins(annotated)
    assert rows(ax) == ["macrophages"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["microglia", "monocyte-derived", "unassigned"]
    assert sum(p.get_width() for p in ax.patches) == pytest.approx(1)


def test_a_hundred_groups_stay_on_a_page_and_missing_ones_are_a_group(made):
    made.obs["many"] = [None if i % 100 == 0 else f"g{i % 100:02d}" for i in range(made.n_obs)]
    ax = tam.pl.origins(made, groupby="many")
    assert rows(ax)[-1] == "missing"
    assert len(rows(ax)) == 100
    assert ax.figure.get_size_inches()[1] < 25


def test_what_origins_refuse(made, example):
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.origins(made, groupby="nothing")
    with pytest.raises(ResultNotFoundError):
        tam.pl.origins(example)


# State by origin.


def fields(ax) -> np.ndarray:
    shape = ax.images[0].get_array().shape
    return np.array([t.get_text() for t in ax.texts]).reshape(shape)


def test_fields_are_counts_and_shares_of_the_row(made):
    ax = tam.pl.state_by_origin(made)
    inside = made.obs[made.obs["tam_state"] != "not_macrophage"]
    counts = pd.crosstab(inside["tam_origin"], inside["tam_state"])
    found = fields(ax)
    rows = [t.get_text().split("\n") for t in ax.get_yticklabels()]
    columns = [t.get_text() for t in ax.get_xticklabels()]
    assert rows[0] == ["microglia", f"n = {counts.loc['microglia'].sum():,}"]
    assert rows[-1][0] == columns[-1] == "unassigned"
    assert "transitional" in columns
    k = counts.loc["monocyte_derived", "lipid_associated"]
    assert found[1, 0] == f"{k}\n{k / counts.loc['monocyte_derived'].sum():.0%}"
    assert sum(int(t.split("\n")[0].replace(",", "")) for t in found.ravel()) == len(inside)
    shares = ax.images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert ax.images[0].get_clim() == (0, 1)


def test_rows_of_few_cells_are_not_shaded(annotated):
    ax = tam.pl.state_by_origin(annotated)  # 16 microglia, 1 monocyte-derived, 2 unassigned
    assert ax.images[0].get_array().mask.all(axis=1).tolist() == [False, True, True]
    assert sum(int(field.split()[0]) for field in fields(ax)[2]) == 2
    assert not tam.pl.state_by_origin(annotated, min_cells=1).images[0].get_array().mask.any()


def test_unassigned_is_shown_where_there_is_none(made):
    called = made[(made.obs["tam_state"] == "inflammatory") & (made.obs["tam_origin"] == "microglia")].copy()
    ax = tam.pl.state_by_origin(called)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["inflammatory", "unassigned"]
    assert fields(ax)[0].tolist() == [f"{called.n_obs}\n100%", "0\n0%"]


def test_with_samples_each_counts_once(made):
    made.obs["sample"] = np.where(np.arange(made.n_obs) < 1700, "large", "small")
    ax = tam.pl.state_by_origin(made, sample_key="sample")
    inside = made.obs[made.obs["tam_origin"] == "microglia"]
    share = (inside["tam_state"] == "lipid_associated").groupby(inside["sample"]).mean()
    assert ax.images[0].get_array()[0, 0] == pytest.approx(share.mean())
    assert fields(ax)[0, 0] == f"{share.mean():.0%}\n{share.min():.0%}–{share.max():.0%}"
    assert ax.get_yticklabels()[0].get_text() == "microglia\n2 of 2 samples"
    ax = tam.pl.state_by_origin(made, sample_key="sample", min_cells=20)
    border = [t.get_text() for t in ax.get_yticklabels()].index("border-associated\n0 of 2 samples")
    assert (fields(ax)[border] == "–").all()


def test_what_state_by_origin_refuses(made, example):
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.state_by_origin(made, sample_key="nothing")
    with pytest.raises(ParameterError, match="min_cells must be at least 1"):
        tam.pl.state_by_origin(made, min_cells=0)
    with pytest.raises(ResultNotFoundError, match="No sample has 5000 macrophages"):
        tam.pl.state_by_origin(made, sample_key="sample", min_cells=5000)
    with pytest.raises(ResultNotFoundError, match="no macrophages"):
        tam.pl.state_by_origin(made[made.obs["tam_state"] == "not_macrophage"].copy())
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.state_by_origin(example)
    assert not plt.get_fignums()


# States and origins as points on an embedding.


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
    assert "1,950 of 2,000 cells drawn" in ax.get_title(loc="left")
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
    kept = codes[rows_to_draw(codes, 2, 1000, 0)]
    assert (kept == 1).sum() == 20
    assert 900 <= kept.size <= 1000


def test_given_axes_are_used_and_nothing_is_written(made):
    _, ax = plt.subplots()
    before = made.copy()
    assert tam.pl.origins(made, ax=ax) is ax
    assert set(made.uns) == set(before.uns)
    assert list(made.obs) == list(before.obs)


def test_what_embeddings_refuse(made):
    with pytest.raises(ParameterError, match=r"No embedding 'tsne' in obsm\. Available: X_umap, tam_z, tam_p"):
        tam.pl.states(made, basis="tsne")
    with pytest.raises(ParameterError, match="Give one of them"):
        tam.pl.origins(made, basis="umap", groupby="sample")
    with pytest.raises(ParameterError, match="max_points is 10"):
        tam.pl.states(made, max_points=10)
    made.obsm["X_line"] = made.obsm["X_umap"][:, :1]
    with pytest.raises(ParameterError, match="fewer than two columns"):
        tam.pl.states(made, basis="line")
    assert not plt.get_fignums()
