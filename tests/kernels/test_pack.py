"""Arms packed gene by gene, and weights that sum exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tamannot.kernels._pack import exact_weights, pack_arms


def test_every_gene_lists_its_arms():
    arms = pack_arms([np.array([2, 0]), np.array([2])], [np.array([1.0, 2.0]), np.array([3.0])], 4)
    np.testing.assert_array_equal(arms.gene_ptr, [0, 1, 1, 3, 3])
    np.testing.assert_array_equal(arms.arm_of, [0, 0, 1])
    np.testing.assert_array_equal(arms.weight_of, [2, 1, 3])
    np.testing.assert_array_equal(arms.arm_weight, [3, 3])


def test_no_arms_is_an_empty_list_for_every_gene():
    arms = pack_arms([], [], 3)
    np.testing.assert_array_equal(arms.gene_ptr, [0, 0, 0, 0])
    assert arms.arm_weight.size == 0


@pytest.mark.parametrize("weight", [1.0, 0.25, 0.5, 2.0, 1000.0])
def test_dyadic_weights_are_kept(weight):
    assert exact_weights([weight])[0] == weight


def test_weights_are_rounded_by_less_than_a_ten_millionth():
    weights = np.random.default_rng(0).random(1000) * 10
    assert np.abs(exact_weights(weights) - weights).max() < 1e-7


def test_exact_weights_sum_the_same_in_any_order():
    rng = np.random.default_rng(1)
    terms = exact_weights(rng.random(2000)) * (rng.integers(0, 3000, 2000) / 2)
    assert len({float(np.cumsum(rng.permutation(terms))[-1]) for _ in range(50)}) == 1
