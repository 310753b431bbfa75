"""The options that functions of ``tamannot.pl`` share with those of scanpy, and any colour on any embedding."""

from __future__ import annotations

import inspect

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
