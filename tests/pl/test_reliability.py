from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import ParameterError
from tamannot.stats import _classifiers


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def overconfident(n=300):
    p = np.random.default_rng(0).random(n)
    return p, np.random.default_rng(1).random(n) < 0.5 + (p - 0.5) / 2


def drawn(ax):
    return [(line.get_xdata(), line.get_ydata()) for line, *_ in ax.containers]


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_points_bars_and_legend_are_the_figures():
    p, truth = overconfident()
    ax = tam.pl.reliability(p, truth, n_bins=10)
    found = _classifiers.reliability(p, truth, 10)
    ((x, y),) = drawn(ax)
    np.testing.assert_array_equal(x, found.stated)
    np.testing.assert_array_equal(y, found.observed)
    (bars,) = ax.containers[0][2]
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, np.stack([found.low, found.high], axis=1))
    assert f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, slope {found.slope:.2f}" in legend(ax)


def test_a_table_is_drawn_by_its_winner():
    proba = pd.DataFrame({"a": [0.7, 0.2, 0.9, 0.6], "b": [0.3, 0.8, 0.1, 0.4]})
    ((x, y),) = drawn(tam.pl.reliability(proba, pd.Series(["a", "b", "b", "a"], dtype="category"), n_bins=2))
    np.testing.assert_allclose(x, [0.65, 0.85])
    np.testing.assert_allclose(y, [1.0, 0.5])


def test_a_second_curve_differs_in_colour_and_marker_and_shares_the_diagonal():
    p, truth = overconfident()
    _, ax = plt.subplots()
    assert tam.pl.reliability(p, truth, label="one", ax=ax) is ax
    tam.pl.reliability(p**2, truth, label="two", ax=ax)
    first, second = (c[0] for c in ax.containers)
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    assert len(ax.lines) == 1 + 2 * 3
    assert [t.split("\n")[0] for t in legend(ax)] == ["as stated", "one", "two"]


def test_no_slope_is_said():
    assert "no slope" in legend(tam.pl.reliability([0.2, 0.7], [True, True]))[1]


def test_an_annotated_object(annotated):
    inside = (annotated.obs["tam_compartment"] == "macrophage").to_numpy()
    proba = annotated.obsm["tam_state_proba"][inside]
    ax = tam.pl.reliability(proba, proba.idxmax(axis=1))
    ((_, y),) = drawn(ax)
    assert (y == 1).all()


TABLE = pd.DataFrame({"a": [0.5, 0.6]})


@pytest.mark.parametrize(
    ("proba", "truth", "options", "message"),
    [
        ([], [], {}, "empty"),
        ([0.5], [True, False], {}, "1 cells and truth 2"),
        ([1.5], [True], {}, "no probabilities"),
        ([np.nan], [True], {}, "no probabilities"),
        (["much"], [True], {}, "must be numbers"),
        ([0.5, 0.5], ["a", "b"], {}, "yes or no"),
        ([[0.5, 0.5]], [True], {}, "2 dimensions"),
        ([0.5], [True], {"n_bins": 0}, "n_bins is 0"),
        (TABLE, ["a", "z"], {}, "proba has not: z. There are: a"),
        (TABLE, ["a"], {}, "2 cells and truth 1"),
    ],
)
def test_refused(proba, truth, options, message):
    with pytest.raises(ParameterError, match=message):
        tam.pl.reliability(proba, truth, **options)
    assert not plt.get_fignums()
