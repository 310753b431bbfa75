"""The options that functions of ``tamannot.pl`` share with those of scanpy, and any colour on any embedding."""

from __future__ import annotations

import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import tamannot as tam
from tamannot.errors import ParameterError

OPTIONS = ("show", "save", "return_fig", "figsize", "title")


@pytest.mark.parametrize("name", tam.pl.__all__)
def test_options_are_in_signature_and_help(name):
    function = getattr(tam.pl, name)
    parameters = inspect.signature(function).parameters
    assert set(OPTIONS) <= set(parameters)
    assert "ax" in parameters
    assert all(parameters[o].kind is inspect.Parameter.KEYWORD_ONLY for o in OPTIONS)
    assert all(function.__doc__.count(f"\n{o}\n") == 1 for o in OPTIONS)


def test_axes_are_returned_unless_asked_otherwise(made):
    ax = tam.pl.states(made)
    assert isinstance(ax, plt.Axes)
    assert isinstance(tam.pl.states(made, return_fig=True), Figure)
    assert tam.pl.states(made, show=False, ax=ax) is ax


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_shown_when_asked_and_in_windows(made, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    assert tam.pl.states(made, show=True) is None
    assert len(shown) == 1
    tam.pl.states(made)  # Agg has no windows
    assert len(shown) == 1
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "qt")
    ax = tam.pl.states(made)
    assert isinstance(ax, plt.Axes)
    assert len(shown) == 2
    for quiet in ({"show": False}, {"return_fig": True}, {"ax": ax}):
        tam.pl.states(made, **quiet)
    assert len(shown) == 2


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_saved(made, tmp_path, suffix):
    path = tmp_path / f"states.{suffix}"
    tam.pl.states(made, save=path)
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


def test_what_cannot_be_saved(made, tmp_path):
    with pytest.raises(ParameterError, match=r"no suffix of a figure format"):
        tam.pl.states(made, save=tmp_path / "a.xyz")
    with pytest.raises(ParameterError, match="cannot be written"):
        tam.pl.states(made, save=tmp_path / "none" / "a.png")


def test_figsize_and_title(made):
    ax = tam.pl.scores(made, figsize=(5, 3))
    assert tuple(ax.figure.get_size_inches()) == (5, 3)
    with pytest.raises(ParameterError, match="figsize sets the size of a new figure"):
        tam.pl.scores(made, figsize=(5, 3), ax=ax)
    ax = tam.pl.polarization(made, title="Poles")
    assert [ax.get_title(loc=place) for place in ("left", "center", "right")] == ["Poles", "", ""]


def test_a_title_stands_above_a_legend(made):
    ax = tam.pl.scores(made, title="z of states")
    ax.figure.canvas.draw()
    legend, title = ax.get_legend().get_window_extent(), ax._left_title.get_window_extent()
    assert title.y0 >= legend.y1 - 1


def test_a_figure_that_failed_is_closed(made):
    with pytest.raises(ParameterError):
        tam.pl.states(made, groupby="nothing", figsize=(3, 3))
    assert not plt.get_fignums()


def test_unknown_parameters_are_refused(made):
    with pytest.raises(TypeError, match="unexpected keyword argument 'figsze'"):
        tam.pl.states(made, figsze=(3, 3))


def handles(ax) -> dict[str, str]:
    legend = ax.get_legend()
    texts = [t.get_text().split("  ")[0] for t in legend.get_texts()]
    return dict(zip(texts, [to_hex(h.get_color()) for h in legend.legend_handles], strict=True))


def test_palettes(made):
    assert handles(tam.pl.states(made, palette={"inflammatory": "black"}))["inflammatory"] == "#000000"
    listed = handles(tam.pl.origins(made, palette=["red", "lime", "blue"]))
    assert list(listed.values())[:3] == ["#ff0000", "#00ff00", "#0000ff"]
    assert listed["unassigned"] == handles(tam.pl.origins(made))["unassigned"]
    assert handles(tam.pl.origins(made, palette="tab10"))["microglia"] == "#1f77b4"
    refused = ((["red"], "1 colours for 3 labels"), ("nope", "not a colormap"), ({"microglia": "x"}, "not a colour"))
    for palette, says in refused:
        with pytest.raises(ParameterError, match=says):
            tam.pl.origins(made, palette=palette)


def test_palettes_of_bars_and_curves(made, learned):
    """Every function that colours categories takes a palette."""
    bars = tam.pl.scores(made, "m1", groupby="sample", palette={"s1": "black"}).patches
    assert [to_hex(p.get_facecolor()) for p in bars if hasattr(p, "get_data")].count("#000000") == 1
    both = tam.pl.polarization(made, palette={"transitional": "lime"}).collections[1]
    assert to_hex(both.get_facecolors()[0]) == "#00ff00"
    made.obs["arm"] = np.where(made.obs["sample"].cat.codes % 2, "treated", "control")
    tam.tl.composition(made, "sample", condition="arm", counts="called", depth=False)
    (points,) = tam.pl.composition_tests(made, palette=["lime"]).containers
    assert to_hex(points[0].get_color()) == "#00ff00"
    cell = int(np.flatnonzero(learned.obs["tam_state"] == "inflammatory")[0])
    ax = tam.pl.evidence(learned, cell, palette={"inflammatory": "black"})
    assert to_hex(ax.containers[0][0].get_facecolor()) == "#000000"
    with pytest.raises(ParameterError, match="not a colormap"):
        tam.pl.composition_tests(made, palette="nope")


def test_help_of_common_parameters_is_there_once():
    for name in tam.pl.__all__:
        function = getattr(tam.pl, name)
        for parameter in inspect.signature(function).parameters:
            listed = re.findall(rf"^(?:\w+, )*{parameter}(?:, \w+)*$", function.__doc__, re.MULTILINE)
            assert len(listed) == 1, (name, parameter)


# Fifty groups, in a figure of their own and in a small subplot.


FIFTY = {
    "states": lambda a, **o: tam.pl.states(a, groupby="many", **o),
    "umap": lambda a, **o: tam.pl.umap(a, color="many", **o),
    "scores": lambda a, **o: tam.pl.scores(a, "m1", groupby="many", **o),
    "composition": tam.pl.composition,
}


@pytest.fixture
def fifty(made):
    made.obs["many"] = pd.Categorical([f"sample_{i % 50:02d}" for i in range(made.n_obs)])
    tam.tl.composition(made, "many", counts="called", depth=False, min_cells=1)
    return made


def overlaps(texts) -> int:
    boxes = [t.get_window_extent() for t in texts if t.get_text()]
    return sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


@pytest.mark.parametrize("name", FIFTY)
@pytest.mark.parametrize("size", [None, (6, 5)])
def test_fifty_groups_stay_readable(fifty, name, size):
    ax = FIFTY[name](fifty, ax=None if size is None else plt.subplots(figsize=size)[1])
    ax.figure.draw_without_rendering()
    labels = ax.get_legend().get_texts() if name == "umap" else ax.get_yticklabels()
    assert all(t.get_fontsize() >= 5 for t in labels)
    assert overlaps(labels) == 0
    assert len(labels) == 50 if size is None else len(labels) >= 20
    whole = ax.get_tightbbox()
    assert (whole.x0 >= 0, whole.x1 <= ax.figure.bbox.x1 + 1) == (True, True)


def test_size(made):
    for draw in (tam.pl.states, tam.pl.origins, tam.pl.umap, tam.pl.polarization):
        assert {float(c.get_sizes()[0]) for c in draw(made, size=7).collections} == {7.0}


# Any embedding, any colour.


def test_umap_is_states_by_default_with_the_same_colours(made):
    assert handles(tam.pl.umap(made)) == handles(tam.pl.states(made))
    assert handles(tam.pl.embedding(made, "X_umap", color="origin")) == handles(tam.pl.origins(made, basis="umap"))


@pytest.mark.parametrize("color", ["compartment", "sample", "m1", "n_counts", "flag"])
def test_colours_by(made, color):
    made.obs["n_counts"] = np.where(np.arange(made.n_obs) % 3, np.arange(made.n_obs), np.nan)
    made.obs["flag"] = np.arange(made.n_obs) % 2 == 0
    ax = tam.pl.umap(made, color=color)
    assert sum(len(c.get_offsets()) for c in ax.collections) == made.n_obs
    assert (ax.get_legend() is None) == (color in ("m1", "n_counts"))


def test_z_is_symmetric_and_named(made):
    ax = tam.pl.umap(made, color="m1")
    low, high = ax.collections[-1].get_clim()
    assert low == -high
    assert ax.collections[-1].colorbar.ax.get_ylabel() == "z against matched genes"
    assert "2,000 cells" in ax.get_title(loc="left")


def test_colours_of_a_column_are_those_of_scanpy(made):
    colors = ["#111111", "#222222", "#333333", "#444444", "#555555"]
    made.uns["sample_colors"] = colors
    assert list(handles(tam.pl.umap(made, color="sample")).values()) == colors


def test_what_cannot_be_coloured(made):
    with pytest.raises(ParameterError, match=r"color='stat' is not a label.*'state'"):
        tam.pl.umap(made, color="stat")
    with pytest.raises(ParameterError, match="No embedding 'tsne'"):
        tam.pl.embedding(made, "tsne")
    with pytest.raises(ParameterError, match="For numbers, palette="):
        tam.pl.umap(made, color="m1", palette=["red"])


def test_an_object_that_is_not_annotated_may_have_columns(made):
    plain = made.copy()
    plain.obs = pd.DataFrame({"batch": made.obs["sample"]})
    plain.uns, plain.obsm = {}, {"X_umap": made.obsm["X_umap"]}
    assert len(tam.pl.umap(plain, color="batch").get_legend().get_texts()) == 5
