"""Baselines: what macrophages without a program have, told from a program that all of them have."""

from __future__ import annotations

import numpy as np
import pytest

from tamannot.classify._activity import fit_activities
from tamannot.classify._reference import Baselines

TYPICAL = 1.0


def halves(activity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """z of the halves of a signature, with independent noise; cells × 2."""
    return activity[:, None] / np.sqrt(2) + rng.standard_normal((activity.size, 2))


def baselines(*activities: np.ndarray, highest: float = 4.0) -> list[float]:
    """Fit signatures of known activities in the same cells."""
    rng, n = np.random.default_rng(0), activities[0].size
    evidence = np.stack([halves(a, rng) for a in activities], axis=1), np.ones(n), np.ones(n)
    reference = Baselines(np.full(len(activities), TYPICAL), np.full(len(activities), highest))
    return [a.baseline for a in fit_activities(*evidence, np.full(len(activities), 25), reference)]


@pytest.mark.parametrize("n", [50, 500])
def test_background_that_all_cells_share_is_the_baseline(n):
    (found,) = baselines(np.full(n, 4.8))
    assert found > 4


@pytest.mark.parametrize("n", [50, 500])
def test_a_program_that_all_cells_have_to_varied_degrees_is_not(n):
    (found,) = baselines(np.linspace(4.8, 9, n))
    assert found == pytest.approx(TYPICAL, abs=0.3)


def test_the_baseline_of_a_program_that_some_cells_have_is_that_of_the_others():
    (found,) = baselines(np.repeat([2.5, 7.0], 100))
    assert found == pytest.approx(2.5, abs=0.6)


def test_one_odd_cell_sets_no_baseline():
    (found,) = baselines(np.r_[-4.0, np.full(19, 2.2)])
    assert found > 1


def test_cells_of_another_program_show_what_a_cell_without_the_program_has():
    """The first program is in all cells but those of the second."""
    first, second = np.repeat([5.0, 0.5], [180, 20]), np.repeat([0.0, 12.0], [180, 20])
    assert baselines(first, second, highest=6.0)[0] == pytest.approx(TYPICAL, abs=0.3)
    assert baselines(np.full(180, 5.0), highest=6.0)[0] > 4
