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


def genes(ax) -> list[str]:
    return [t.get_text().removesuffix(" *") for t in ax.get_yticklabels()]


def test_bars_are_the_contributions_of_the_label_and_its_rival(learned):
    cell = int(np.flatnonzero(learned.obs["tam_state"] == "lipid_associated")[0])
    ax = tam.pl.evidence(learned, cell, n=6)
    table = tam.get.contributions(learned, cell)
    called, rival = table["label"].unique()[:2]
    wide = table.pivot_table(index="gene", columns="label", values="contribution", fill_value=0)
    assert len(genes(ax)) == 6
    for bars, label in zip(ax.containers, (called, rival), strict=True):
        np.testing.assert_allclose([b.get_width() for b in bars], wide.loc[genes(ax), label])
    assert wide.loc[genes(ax), [called, rival]].abs().max(axis=1).is_monotonic_decreasing
    first, second = (t.get_text() for t in ax.get_legend().get_texts())
    total = table.loc[table["label"] == called, "contribution"].sum() + table.attrs["intercept"][called]
    assert first == f"lipid associated (called): amount {total:.2f}"
    assert "called" not in second


def test_signature_genes_have_a_star(learned):
    ax = tam.pl.evidence(learned, 3, n=20)
    table = tam.get.contributions(learned, 3)
    table = table[table["label"].isin(table["label"].unique()[:2])]
    own = set(table.loc[table["in_signature"], "gene"])
    starred = {t.get_text().removesuffix(" *") for t in ax.get_yticklabels() if t.get_text().endswith(" *")}
    assert starred == own & set(genes(ax))


def test_the_two_are_told_apart_without_colours(learned):
    one, other = tam.pl.evidence(learned, 3).containers
    assert one[0].get_hatch() is None
    assert other[0].get_hatch()


def test_compartments_are_called_by_z_among_others(annotated):
    ax = tam.pl.evidence(annotated, 0, axis="compartment")
    assert ax.get_xlabel() == "contribution to z against matched genes"
    z = annotated.obsm["tam_z"]["macrophage"].iloc[0]
    assert ax.get_legend().get_texts()[0].get_text() == f"macrophage (called): z {z:.2f}"


def test_of_z_the_baseline_is_a_bar_of_its_own(annotated):
    ax = tam.pl.evidence(annotated, 0, axis="origin")
    middle = annotated.uns["tamannot"]["tam"]["origin_middle"]
    assert genes(ax)[-1] == "baseline"
    assert ax.containers[0][-1].get_width() == pytest.approx(-middle)
    z = annotated.obsm["tam_z"]["microglia"].iloc[0]
    text = f"microglia (called): z {z:.2f}, {z - middle:.2f} above the baseline"
    assert ax.get_legend().get_texts()[0].get_text() == text


def test_a_sentence_says_why_the_label_is_not_that_of_the_greatest_z(learned):
    state = learned.obs["tam_state"].astype(str)
    z = learned.obsm["tam_z"][list(tam.load_signatures(axis="state"))]
    cell = int(np.flatnonzero(state.isin(z.columns) & (z.idxmax(axis=1) != state))[0])
    why = tam.get.evidence(learned, cell).attrs["why"]["state"]
    said = tam.pl.evidence(learned, cell).get_xlabel()
    assert why.replace("_", " ") in " ".join(said.split())


def test_the_colours_are_those_of_the_state(learned):
    ax = tam.pl.evidence(learned, int(np.flatnonzero(learned.obs["tam_state"] == "inflammatory")[0]))
    assert ax.containers[0][0].get_facecolor() == plt.matplotlib.colors.to_rgba("#cc79a7")


def test_given_axes_are_used(annotated):
    _, ax = plt.subplots()
    assert tam.pl.evidence(annotated, 0, ax=ax) is ax


def test_a_cell_without_genes_says_so(example):
    example.X[0] = 0
    example.X.eliminate_zeros()
    with pytest.warns(tam.errors.TamannotWarning, match="Tissue"):
        tam.tl.annotate(example)
    ax = tam.pl.evidence(example, 0)
    assert [t.get_text() for t in ax.texts] == ["no gene speaks for or against a label"]


def test_refused(annotated, example):
    with pytest.raises(ParameterError, match=r"axis is one of compartment, origin, state .* not 'overlay'"):
        tam.pl.evidence(annotated, 0, axis="overlay")
    with pytest.raises(ParameterError, match="n at least 1"):
        tam.pl.evidence(annotated, 0, n=0)
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.evidence(example, 0)
