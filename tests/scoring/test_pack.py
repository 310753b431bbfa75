"""Arms packed gene by gene, and weights that sum exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tamannot.scoring._pack import exact_weights, in_steps, pack_arms


def test_every_gene_lists_its_arms():
    arms = pack_arms([np.array([2, 0]), np.array([2])], [[np.array([1.0, 2.0]), np.array([3.0])]], 4)
    np.testing.assert_array_equal(arms.gene_ptr, [0, 1, 1, 3, 3])
    np.testing.assert_array_equal(arms.arm_of, [0, 0, 1])
    np.testing.assert_array_equal(arms.weight_of, [[2, 1, 3]])
    np.testing.assert_array_equal(arms.arm_weight, [[3, 3]])


def test_every_method_has_weights_of_its_own():
    columns, first, second = [np.array([2, 0]), np.array([2])], [np.array([1, 2]), np.array([3])], np.array([5, 6])
    arms = pack_arms(columns, [first, [second, np.array([7])]], 4)
    np.testing.assert_array_equal(arms.weight_of, [[2, 1, 3], [6, 5, 7]])
    np.testing.assert_array_equal(arms.arm_weight, [[3, 3], [11, 7]])
    assert arms.weight_of.dtype == np.int64


def test_used_are_the_genes_of_any_arm():
    arms = pack_arms([np.array([3, 1]), np.array([1])], [[np.ones(2), np.ones(1)]], 5)
    np.testing.assert_array_equal(arms.used, [0, 1, 0, 1, 0])


@pytest.mark.parametrize("methods", [0, 1, 3])
def test_no_arms_is_an_empty_list_for_every_gene(methods):
    arms = pack_arms([], [[]] * methods, 3)
    np.testing.assert_array_equal(arms.gene_ptr, [0, 0, 0, 0])
    assert arms.weight_of.shape == arms.arm_weight.shape == (methods, 0)


def test_an_arm_without_genes_weighs_nothing():
    arms = pack_arms([np.array([], np.int64), np.array([1])], [[np.array([]), np.array([2.0])]], 3)
    np.testing.assert_array_equal(arms.arm_weight, [[0, 2]])


@pytest.mark.parametrize("weight", [1.0, 0.25, 0.5, 2.0, 1000.0])
def test_dyadic_weights_are_kept(weight):
    assert exact_weights([weight])[0] == weight


def test_weights_are_rounded_by_at_most_half_a_step():
    weights = np.random.default_rng(0).random(1000) * 10
    assert np.abs(exact_weights(weights) - weights).max() <= 2.0**-17


def test_exact_weights_are_whole_steps():
    weights = exact_weights(np.random.default_rng(0).random(1000) * 10)
    np.testing.assert_array_equal(in_steps(weights) * 2.0**-16, weights)


def test_exact_weights_sum_the_same_in_any_order():
    rng = np.random.default_rng(1)
    terms = in_steps(exact_weights(rng.random(2000))) * rng.integers(0, 3000, 2000)
    floats = exact_weights(rng.random(2000)) * (rng.integers(0, 3000, 2000) / 2)
    assert len({int(np.cumsum(rng.permutation(terms))[-1]) for _ in range(50)}) == 1
    assert len({float(np.cumsum(rng.permutation(floats))[-1]) for _ in range(50)}) == 1
