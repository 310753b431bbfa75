from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def enriched(tiny):
    rows = [
        ("a", "up", 2.0, 1e-9, 1),
        ("a", "mild", 1.2, 0.3, 2),
        ("a", "down", -1.5, 0.01, 3),
        ("b", "down", 1.8, 0.0, 1),
        ("b", "up", -2.4, 1e-4, 2),
    ]
    table = pd.DataFrame(rows, columns=["group", "signature", "nes", "q", "rank"])
    slots.write_record(tiny, "tam", {"method": "ucell"})
    slots.write_analysis(tiny, "tam", "enrichment", {"table": table, "cautions": np.array([], dtype=object)})
    return tiny


def test_one_dot_a_test_of_the_leading_signatures(enriched):
    ax = tam.pl.enrichment(enriched, n=1)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["up", "down"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    dots = ax.collections[0]
    assert dots.get_offsets().tolist() == [[0, 0], [0, 1], [1, 1], [1, 0]]
    np.testing.assert_allclose(dots.get_array(), [2.0, -1.5, 1.8, -2.4])
    assert dots.get_clim() == (-2.4, 2.4)
    size = dots.get_sizes()
    assert size[0] == size[2] > size[3] > size[1]


def test_ring_marks_what_is_beyond_chance(enriched):
    dots = tam.pl.enrichment(enriched, n=2).collections[0]
    assert (np.asarray(dots.get_linewidths()) > 0.5).tolist() == [True, False, True, True, True]


def test_given_axes_are_used_and_bad_numbers_refused(enriched, tiny):
    _, ax = plt.subplots()
    assert tam.pl.enrichment(enriched, ax=ax) is ax
    with pytest.raises(ParameterError, match="at least 1"):
        tam.pl.enrichment(enriched, n=0)
    with pytest.raises(ResultNotFoundError):
        tam.pl.enrichment(enriched, key="other")
