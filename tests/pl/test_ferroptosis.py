from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def summarised(annotated):
    tam.tl.ferroptosis_summary(annotated, "patient", min_cells=1)
    return annotated


def _names(ax):
    labels = [t.get_text().split("\n")[0].replace(" ", "_") for t in ax.get_xticklabels()]
    return labels, [t.get_text().rsplit(" ", 1)[0].replace(" ", "_") for t in ax.get_yticklabels()]


def test_colours_are_means_over_samples(summarised):
    ax = tam.pl.ferroptosis(summarised)
    rows = tam.get.ferroptosis(summarised)
    labels, programs = _names(ax)
    assert programs == list(rows["program"].unique())
    want = rows.pivot_table(index="program", columns="label", values="z", observed=True).loc[programs, labels]
    np.testing.assert_allclose(ax.images[0].get_array().filled(np.nan), want, rtol=1e-6)


def test_hatched_is_low_signal(summarised):
    ax = tam.pl.ferroptosis(summarised)
    low = tam.get.ferroptosis(summarised).groupby(["program", "label"], observed=True)["low_signal"].mean()
    assert len(ax.patches) == (low > 0.5).sum() > 0


def test_every_colour_says_in_which_share_of_cells_there_is_too_little_signal(summarised):
    ax = tam.pl.ferroptosis(summarised)
    low = tam.get.ferroptosis(summarised).pivot_table(index="program", columns="label", values="low_signal")
    labels, programs = _names(ax)
    want = [f"{low.loc[p, w]:.0%}" for p in programs for w in labels]
    assert [t.get_text() for t in ax.texts if t.get_text() != "★"] == want


@pytest.mark.parametrize(("kind", "told"), [("summary", True), ("program", False)])
def test_summaries_say_what_their_sign_means(summarised, kind, told):
    ax = tam.pl.ferroptosis(summarised, kind=kind)
    assert ("balance fell in 15" in ax.get_xlabel()) is told


def test_a_star_where_the_label_was_called_by_genes_of_the_program(learned):
    tam.tl.ferroptosis_summary(learned, "sample")
    ax = tam.pl.ferroptosis(learned)
    effects = tam.get.ferroptosis(learned, kind="effects")
    stars = [t for t in ax.texts if t.get_text() == "★"]
    assert len(stars) == (effects["shared_genes"] != "").sum() > 0


def test_one_kind_and_the_mark_of_its_effect(summarised):
    ax = tam.pl.ferroptosis(summarised, kind="theme")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["iron ◆", "glutathione ▼", "pufa ▲", "lipid peroxide ▲"]


def test_labels_in_too_small_samples_are_left_empty(annotated):
    tam.tl.ferroptosis_summary(annotated, "patient", min_cells=1000)
    ax = tam.pl.ferroptosis(annotated)
    assert np.isnan(ax.images[0].get_array().filled(np.nan)).all()
    assert all("n = 0" in t.get_text() for t in ax.get_xticklabels())


def test_given_axes_and_refusals(summarised, example):
    _, ax = plt.subplots()
    assert tam.pl.ferroptosis(summarised, ax=ax) is ax
    with pytest.raises(ParameterError, match="kind is of"):
        tam.pl.ferroptosis(summarised, kind="gene")
    with pytest.raises(ResultNotFoundError):
        tam.pl.ferroptosis(example)
