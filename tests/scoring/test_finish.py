"""From sums to scores: by hand, and compiled against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamannot.scoring._sums import OutputParts, finish_any, finish_plain, finish_scores

# Parts: up arm 0; up arm 1 and down arm 0; down arm 1 alone; nothing that is in the data.
ARM = np.array([[0, -1], [1, 0], [-1, 1], [-1, -1]])
MOST = np.array([[10.0, 0.0], [20.0, 10.0], [0.0, 20.0], [0.0, 0.0]])


def finished(sums, *, w_neg=1.0, offset=0.0, parts_of=((0,), (1,), (2,), (3,)), function=finish_scores):
    sums = np.array(sums, np.int64)
    ends = np.cumsum([0, *map(len, parts_of)])
    out = np.full((len(sums), len(parts_of)), np.nan, np.float32)
    order = np.concatenate(parts_of).astype(np.int64)
    function(sums, OutputParts(ARM, np.full((4, 2), offset), MOST, w_neg, ends, order), out)
    return out


@pytest.mark.parametrize(
    ("sums", "settings", "expected"),
    [
        pytest.param([5, 10], {}, [0.5, 0.0, 0.0, 0.0], id="up less down"),
        pytest.param([5, 16], {}, [0.5, 0.3, 0.0, 0.0], id="above zero"),
        pytest.param([5, 16], {"w_neg": 0.5}, [0.5, 0.55, 0.0, 0.0], id="weight of the down arm"),
        pytest.param([5, 0], {"offset": 1.0}, [0.6, 0.0, 0.0, 0.0], id="nothing is added to a sum of zero"),
    ],
)
def test_scores_by_hand(sums, settings, expected):
    np.testing.assert_allclose(finished([sums], **settings)[0], expected, atol=1e-7)


def test_an_output_is_the_greatest_of_its_parts():
    got = finished([[5, 16], [1, 18]], parts_of=((0, 1), (1, 2, 3)))
    np.testing.assert_allclose(got, [[0.5, 0.3], [0.8, 0.8]], atol=1e-7)


def test_compiled_equals_plain_python():
    sums = np.random.default_rng(0).integers(0, 20, (30, 2))
    settings = {"w_neg": 0.3, "offset": 0.7, "parts_of": ((0, 1), (1,), (2, 3, 0))}
    assert finished(sums, **settings).tobytes() == finished(sums, **settings, function=finish_any.py_func).tobytes()
    up = (sums, ARM[1::-1, 0].copy(), np.array([1.0, -8.0]), np.array([10.0, 20.0]))
    out = np.full((2, 30, 2), np.nan, np.float32)
    finish_plain(*up, out[0])
    finish_plain.py_func(*up, out[1])
    assert out[0].tobytes() == out[1].tobytes()


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
def test_plain_sets_get_the_same_bits_beside_a_composite(seed, n):
    rng = np.random.default_rng(seed)
    sums = rng.integers(0, 4, (5, n)) * rng.integers(0, 100_000, (5, n))
    arm = np.column_stack([rng.permutation(n), np.full(n, -1)])
    offset, most = rng.normal(0, 1000, (n, 2)), rng.uniform(1, 200_000, (n, 2))
    alone, beside = np.full((5, n), np.nan, np.float32), np.full((5, n + 1), np.nan, np.float32)
    finish_scores(sums, OutputParts(arm, offset, most, 1.0, np.arange(n + 1), np.arange(n)), alone)
    both = np.array([*range(n), 0, n - 1])
    finish_scores(sums, OutputParts(arm, offset, most, 1.0, np.array([*range(n + 1), n + 2]), both), beside)
    np.testing.assert_array_equal(alone, beside[:, :n])
    np.testing.assert_array_equal(beside[:, n], np.maximum(alone[:, 0], alone[:, n - 1]))
