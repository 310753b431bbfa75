"""Pictures of two million cells: few enough points, small files."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tamannot as tam
import tamannot.data as slots
from tamannot.errors import ParameterError
from tamannot.pl._cells import MAX_POINTS


@pytest.fixture
def tissue(tiny):
    tiny.obsm["spatial"] = np.random.default_rng(0).uniform(0, 100, (tiny.n_obs, 2))
    values = np.linspace(-1, 3, tiny.n_obs)[:, None]
    values[0] = np.nan
    slots.write_record(tiny, "tam", {"method": "ucell"})
    slots.write_tables(tiny, "tam", ["microglia"], {"score": values, "z": values})
    return tiny


def test_points_are_where_the_spots_are(tissue):
    ax = tam.pl.spatial(tissue, "microglia")
    missing, points = ax.collections[:2]
    np.testing.assert_array_equal(missing.get_offsets(), tissue.obsm["spatial"][:1])
    np.testing.assert_array_equal(points.get_offsets(), tissue.obsm["spatial"][1:])
    np.testing.assert_allclose(points.get_array(), tam.get.scores(tissue)["microglia"].iloc[1:])
    assert points.get_rasterized()
    assert ax.get_aspect() == 1
    assert ax.yaxis_inverted()


def test_zero_is_the_middle_of_z(tissue):
    points = tam.pl.spatial(tissue, "microglia", kind="z").collections[1]
    assert points.get_clim() == (-3, 3)


def test_given_axes_are_used_and_nothing_is_written(tissue):
    before = set(tissue.uns["tamannot"]["tam"]), set(tissue.obsm)
    _, ax = plt.subplots()
    assert tam.pl.spatial(tissue, "microglia", ax=ax) is ax
    assert (set(tissue.uns["tamannot"]["tam"]), set(tissue.obsm)) == before


def test_what_is_not_there_is_refused(tissue):
    with pytest.raises(ParameterError, match="'lam' was not scored"):
        tam.pl.spatial(tissue, "lam")
    del tissue.obsm["spatial"]
    with pytest.raises(ParameterError, match="need coordinates"):
        tam.pl.spatial(tissue, "microglia")


def test_more_points_than_pixels_are_means_of_tiles(tissue, monkeypatch):
    """Four cells at each of four places: two values, two without one, one place without any."""
    monkeypatch.setattr("tamannot.pl._pairs.MAX_POINTS", 10)
    places = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 50.0], [100.0, 50.0]])
    rows = np.arange(16) % 4
    adata = tissue[np.zeros(16, int)].copy()
    adata.obs_names = [f"cell{i}" for i in range(16)]
    adata.obsm["spatial"] = places[rows]
    values = np.where(np.arange(16) < 8, rows + np.arange(16) // 4 * 2.0, np.nan)
    values[rows == 3] = np.nan
    slots.write_tables(adata, "tam", ["microglia"], {"score": values[:, None], "z": values[:, None]})
    ax = tam.pl.spatial(adata, "microglia")
    grey, drawn = ax.images
    means = drawn.get_array()
    assert drawn.get_extent()[:2] == pytest.approx([0, 100], rel=0.01)
    assert sorted(means.compressed()) == [1, 2, 3]
    assert (means[0, 0], means[0, -1], means[-1, 0]) == (1, 2, 3)
    assert grey.get_array().count() == 1
    assert not np.ma.getmaskarray(grey.get_array())[-1, -1]
    assert ax.yaxis_inverted()


# Pictures of two million cells: few enough points, small files.


N = 2_000_000


@pytest.fixture(scope="module")
def many(make):
    return make(N)


def size_of(ax, kind: str) -> int:
    file = io.BytesIO()
    ax.figure.savefig(file, format=kind, dpi=100)
    return file.tell()


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [
        tam.pl.states,
        tam.pl.origins,
        lambda a: tam.pl.states(a, groupby="sample"),
        lambda a: tam.pl.state_by_origin(a, sample_key="sample"),
        tam.pl.scores,
        tam.pl.polarization,
    ],
    ids=["states", "origins", "bars", "state_by_origin", "scores", "polarization"],
)
def test_what_is_drawn_does_not_grow_with_the_cells(many, draw):
    ax = draw(many)
    assert sum(len(c.get_offsets()) for c in ax.collections) <= MAX_POINTS
    assert size_of(ax, "pdf") < 400_000  # two million points as vectors would be a hundred times this
    assert size_of(ax, "png") < 400_000


@pytest.mark.slow
def test_all_cells_are_counted_though_some_are_drawn(make):
    n = 2 * MAX_POINTS
    many = make(n)
    ax = tam.pl.states(many)
    counts = many.obs["tam_state"].value_counts()
    said = [t.get_text() for t in ax.get_legend().get_texts()]
    assert said[-1] == f"not macrophage  {counts['not_macrophage']:,}"
    assert f"of {n:,} cells drawn" in ax.get_title(loc="left")
    assert sum(c.get_rasterized() for c in ax.collections) == 2
