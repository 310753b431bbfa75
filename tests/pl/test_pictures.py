"""Whole pictures, as they look: shrunk to a few blocks, so that fonts may differ and layouts may not.

``TAMANNOT_NEW_PICTURES=1 python -m pytest tests/pl/test_pictures.py`` writes them anew: look at them.
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tamannot as tam

FOLDER = Path(__file__).parent / "pictures"
SIDE = 24
# Of 255: a font of another version changes a few blocks by a little.
MEAN, MOST = 2.5, 60.0

PICTURES = {
    "states": tam.pl.states,
    "origins_by_sample": lambda adata: tam.pl.origins(adata, groupby="sample"),
    "state_by_origin": tam.pl.state_by_origin,
    "scores": tam.pl.scores,
    "polarization": tam.pl.polarization,
}


def shrunk(ax) -> np.ndarray:
    """Return the colours of a picture as means over blocks."""
    ax.figure.set_dpi(72)
    ax.figure.canvas.draw()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())[:, :, :3].astype(float)
    rows, columns = (np.array_split(np.arange(n), SIDE) for n in pixels.shape[:2])
    return np.array([[pixels[np.ix_(r, c)].mean(axis=(0, 1)) for c in columns] for r in rows])


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    apart = np.abs(one - other)
    return bool(apart.mean() > MEAN or apart.max() > MOST)


@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_it_did(made, name):
    with plt.style.context("default"):
        found = shrunk(PICTURES[name](made))
    path = FOLDER / f"{name}.png"
    if os.environ.get("TAMANNOT_NEW_PICTURES"):
        plt.imsave(path, np.rint(found).astype(np.uint8))
    assert not differ(found, plt.imread(path)[:, :, :3] * 255.0)


def test_a_picture_that_looks_otherwise_is_told(made):
    """The comparison sees what a reader would see: other colours, a legend that is gone, other shares."""
    before = shrunk(tam.pl.origins(made, groupby="sample"))
    legendless = tam.pl.origins(made, groupby="sample")
    legendless.get_legend().remove()
    recoloured = made.copy()
    recoloured.uns["tam_origin_colors"] = ["#d55e00", "#0072b2", "#009e73", "#999999", "#dddddd"]
    changed = made[made.obs["tam_origin"] != "monocyte_derived"].copy()
    others = [legendless, *(tam.pl.origins(a, groupby="sample") for a in (recoloured, changed))]
    assert not differ(before, shrunk(tam.pl.origins(made, groupby="sample")))
    assert all(differ(before, shrunk(ax)) for ax in others)
