from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_one_bar_an_origin_that_fills_the_axis(annotated):
    ax = tam.pl.states(annotated)
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["microglia", "monocyte derived", "unassigned"]
    assert sum(p.get_width() for p in ax.patches) == pytest.approx(len(names))


def test_legend_has_the_states_that_occur(annotated):
    ax = tam.pl.states(annotated)
    shown = {t.get_text() for t in ax.get_legend().get_texts()}
    here = annotated.obs.loc[annotated.obs["tam_compartment"] == "macrophage", "tam_state"]
    assert shown == {s.replace("_", " ") for s in here.unique()}


def test_groupby_a_sample(annotated):
    ax = tam.pl.states(annotated, groupby="patient")
    macrophages = annotated.obs[annotated.obs["tam_compartment"] == "macrophage"]
    assert len(ax.get_yticklabels()) == macrophages["patient"].nunique()


def test_given_axes_are_used(annotated):
    _, ax = plt.subplots()
    assert tam.pl.states(annotated, ax=ax) is ax


def test_no_macrophages(annotated):
    rest = annotated[annotated.obs["tam_compartment"] != "macrophage"].copy()
    assert [t.get_text() for t in tam.pl.states(rest).get_yticklabels()] == ["no macrophages"]


def test_unknown_column_and_unannotated_data(annotated, example):
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.states(annotated, groupby="nothing")
    with pytest.raises(ResultNotFoundError):
        tam.pl.states(example)
