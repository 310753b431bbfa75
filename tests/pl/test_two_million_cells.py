"""Pictures of two million cells: few enough points, small files."""

from __future__ import annotations

import io

import pytest

import tamannot as tam
from tamannot.pl._cells import MAX_POINTS

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
def test_all_cells_are_counted_though_some_are_drawn(many):
    ax = tam.pl.states(many)
    counts = many.obs["tam_state"].value_counts()
    said = [t.get_text() for t in ax.get_legend().get_texts()]
    assert said[-1] == f"not macrophage  {counts['not_macrophage']:,}"
    assert f"of {N:,} cells drawn" in ax.get_legend().get_title().get_text()
    assert sum(c.get_rasterized() for c in ax.collections) == 2
