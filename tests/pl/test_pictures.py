"""Whole figures, shrunk to a few blocks, so that fonts may differ and layouts may not.

``TAMANNOT_NEW_PICTURES=1 python -m pytest tests/pl/test_pictures.py`` writes them anew: look at them."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
import tamannot.data as slots
from tamannot.analysis._crosstalk import run_tests
from tamannot.analysis._crosstalk_values import PRE_SPECIFIED

FOLDER = Path(__file__).parent / "pictures"


SIDE = 24


# Of 255, and of what is drawn at all: fonts of another version change many blocks by a little, none by half of a line.
MEAN, MEAN_OF_INK, OF_DARKEST = 3.0, 0.25, 0.4


PICTURES = {
    "composition": ("compared", tam.pl.composition),
    "composition_tests": ("compared", tam.pl.composition_tests),
    "coverage": ("annotated", lambda adata, **options: tam.pl.coverage(adata, axis=["origin", "state"], **options)),
    "crosstalk": ("held_against", tam.pl.crosstalk),
    "embedding": ("made", lambda adata, **options: tam.pl.embedding(adata, "umap", color="m1", **options)),
    "enrichment": ("enriched", tam.pl.enrichment),
    "evidence": ("annotated", lambda adata, **options: tam.pl.evidence(adata, 0, axis="origin", **options)),
    "ferroptosis": ("summarised", tam.pl.ferroptosis),
    "markers": ("annotated", tam.pl.markers),
    "origins": ("made", lambda adata, **options: tam.pl.origins(adata, groupby="sample", **options)),
    "polarization": ("made", tam.pl.polarization),
    "reliability": ("stated", lambda pair, **options: tam.pl.reliability(*pair, **options)),
    "scores": ("made", tam.pl.scores),
    "spatial": ("tissue", lambda adata, **options: tam.pl.spatial(adata, "inflammatory", kind="z", **options)),
    "state_by_origin": ("made", tam.pl.state_by_origin),
    "states": ("made", tam.pl.states),
    "umap": ("made", lambda adata, **options: tam.pl.umap(adata, color="compartment", **options)),
}


@pytest.fixture
def compared(made):
    """Five samples under two conditions."""
    made.obs["arm"] = np.where(made.obs["sample"].cat.codes % 2, "treated", "control")
    tam.tl.composition(made, "sample", condition="arm", counts="called", depth=False)
    return made


@pytest.fixture
def held_against(made):
    """Three tests over twelve samples of noise."""
    names = [c for h in PRE_SPECIFIED for c in (h.column, f"malignant_{h.malignant}")]
    values = np.random.default_rng(0).standard_normal((12, 7))
    table = pd.DataFrame(values, index=[f"s{i}" for i in range(12)], columns=[*names, "depth"])
    tests = run_tests(table, PRE_SPECIFIED, ["depth"], n_bootstrap=50, seed=0)
    record = {"tests": tests, "samples": table.assign(used=True), "cautions": [], "parameters": {}}
    slots.write_analysis(made, "tam", "crosstalk", record)
    return made


@pytest.fixture
def enriched(made):
    """Four signatures in six groups."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"group": np.repeat(list("abcdef"), 4), "signature": list("wxyz") * 6})
    table["nes"], table["q"] = rng.uniform(-3, 3, 24), 10 ** rng.uniform(-9, 0, 24)
    table["rank"] = table.groupby("group")["nes"].rank(ascending=False).astype(int)
    slots.write_analysis(made, "tam", "enrichment", {"table": table, "cautions": np.array([], dtype=object)})
    return made


@pytest.fixture
def summarised(annotated):
    tam.tl.ferroptosis_summary(annotated, "patient", min_cells=1)
    return annotated


@pytest.fixture
def stated():
    """Three hundred probabilities that say too much, and what came true."""
    p = np.random.default_rng(0).random(300)
    return p, np.random.default_rng(1).random(300) < 0.5 + (p - 0.5) / 2


@pytest.fixture
def tissue(made):
    made.obsm["spatial"] = made.obsm.pop("X_umap")
    return made


def shrunk(ax) -> np.ndarray:
    """Return the colours of a picture as means over blocks."""
    ax.figure.set_dpi(100)
    ax.figure.canvas.draw()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())[:, :, :3].astype(float)
    rows, columns = (np.array_split(np.arange(n), SIDE) for n in pixels.shape[:2])
    return np.array([[pixels[np.ix_(r, c)].mean(axis=(0, 1)) for c in columns] for r in rows])


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    apart, ink = np.abs(one - other), 255.0 - other
    return bool(apart.mean() > min(MEAN, MEAN_OF_INK * ink.mean()) or apart.max() > OF_DARKEST * ink.max())


@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_it_did(request, name):
    data, draw = PICTURES[name]
    with plt.style.context("default"):
        found = shrunk(draw(request.getfixturevalue(data)))
    path = FOLDER / f"{name}.png"
    if os.environ.get("TAMANNOT_NEW_PICTURES"):
        plt.imsave(path, np.rint(found).astype(np.uint8))
    assert not differ(found, plt.imread(path)[:, :, :3] * 255.0)


@pytest.mark.parametrize("name", PICTURES)
def test_titles_labels_and_legends_stay_in_the_subplot(request, name):
    data, draw = PICTURES[name]
    figure, axes = plt.subplots(2, 2, figsize=(13, 12))
    ax = draw(request.getfixturevalue(data), ax=axes[0, 0])
    figure.draw_without_rendering()
    drawn = [ax, *(a for a in figure.axes if a not in axes)]  # and colour bars
    assert ax.get_title(loc="left")
    right, bottom = (axes[0, 1].get_tightbbox().x0, axes[1, 0].get_tightbbox().y1)
    for box in (a.get_tightbbox() for a in drawn):
        assert (box.x0 >= 0, box.x1 <= right) == (True, True)
        assert (box.y0 >= bottom, box.y1 <= figure.bbox.y1) == (True, True)


@pytest.mark.parametrize("name", PICTURES)
def test_a_title_of_the_user_replaces_the_default_one(request, name):
    data, draw = PICTURES[name]
    ax = draw(request.getfixturevalue(data), title="Mine")
    assert [ax.get_title(loc=place) for place in ("left", "center", "right")] == ["Mine", "", ""]


def test_every_function_has_a_picture():
    assert sorted(PICTURES) == sorted(tam.pl.__all__)
    assert sorted(path.stem for path in FOLDER.glob("*.png")) == sorted(PICTURES)


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


def test_thin_lines_that_moved_are_told(held_against):
    before = shrunk(tam.pl.crosstalk(held_against))
    record = held_against.uns["tamannot"]["tam"]["crosstalk"]
    columns = [c for c in record["tests"] if c.startswith(("rho", "low", "high", "loo"))]
    record["tests"][columns] = -record["tests"][columns]
    assert differ(before, shrunk(tam.pl.crosstalk(held_against)))


# Every function of ``tam.pl`` has its picture in docs/gallery.md, and the tool draws what is shown there.


ROOT = Path(__file__).parents[2]


GALLERY = ROOT / "docs" / "gallery.md"


# A block of code, and the picture that follows it.
SHOWN = re.compile(r"```python\n((?:(?!```).)*)```\n\n!\[[^\]]+\]\(images/gallery_(\w+)\.png\)", re.DOTALL)


def shown() -> list[tuple[str, str]]:
    return SHOWN.findall(GALLERY.read_text(encoding="utf-8"))


def drawn() -> list[str]:
    """Return what the tool draws, read and not run: it needs scanpy."""
    for node in ast.parse((ROOT / "tools" / "draw_gallery.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PICTURES":
            return [ast.literal_eval(key) for key in node.value.keys]
    raise AssertionError


@pytest.mark.parametrize("name", tam.pl.__all__)
def test_every_picture_function_is_shown(name):
    assert any(f"tam.pl.{name}(" in code for code, _ in shown())


def test_what_is_shown_is_what_the_tool_draws():
    pictures = [picture for _, picture in shown()]
    assert sorted(pictures) == sorted(drawn())
    assert all((ROOT / "docs" / "images" / f"gallery_{picture}.png").is_file() for picture in pictures)
