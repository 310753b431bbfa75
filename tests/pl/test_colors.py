"""Colours of labels: distinct across axes, and within an axis told apart with any colour vision."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import tamannot as tam
from tamannot.tl._write import COLORS

# Machado, Oliveira & Fernandes 2009 (doi:10.1109/TVCG.2009.113), severity 1, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
GREYS = {"unassigned", "not_macrophage"}


def seen(color: str, vision: str) -> np.ndarray:
    """Return a colour in CIE Lab, as it is seen."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def apart(one: str, other: str, vision: str) -> float:
    return float(np.linalg.norm(seen(one, vision) - seen(other, vision)))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("axis", COLORS)
def test_labels_of_an_axis_are_told_apart(axis, vision):
    distances = {(a, b): apart(COLORS[axis][a], COLORS[axis][b], vision) for a, b in combinations(COLORS[axis], 2)}
    closest = min(distances, key=distances.get)
    assert distances[closest] > 11, (closest, distances[closest])  # of Okabe and Ito's eight the least is 13


def test_no_two_axes_share_a_colour():
    for one, other in combinations(COLORS, 2):
        for a in COLORS[one].keys() - GREYS:
            for b in COLORS[other].keys() - GREYS:
                assert apart(COLORS[one][a], COLORS[other][b], "usual") > 8, (a, b)


def test_every_label_has_a_colour():
    for axis in COLORS:
        assert set(tam.load_signatures(axis=axis)) <= set(COLORS[axis])
