from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tamannot as tam
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.pl._genes import _LARGEST_DOT
from tamannot.pl._style import pretty


def genes(ax) -> list[str]:
    return [t.get_text().removesuffix(" *") for t in ax.get_yticklabels()]


def test_bars_are_the_contributions_of_the_label_and_its_rival(learned):
    cell = int(np.flatnonzero(learned.obs["tam_state"] == "lipid_associated")[0])
    ax = tam.pl.evidence(learned, cell, n=6)
    table = tam.get.contributions(learned, cell)
    called, rival = table["label"].unique()[:2]
    table = table[table["label"].isin([called, rival])]
    wide = table.pivot_table(index="gene", columns="label", values="contribution", fill_value=0)
    *named, others, intercept = genes(ax)
    assert len(named) == 6
    assert (others, intercept) == (f"{len(wide) - 6:,} other genes", "intercept")
    for bars, label in zip(ax.containers, (called, rival), strict=True):
        widths = [b.get_width() for b in bars]
        np.testing.assert_allclose(widths[:6], wide.loc[named, label])
        assert widths[7] == pytest.approx(table.attrs["intercept"][label])
        assert sum(widths) == pytest.approx(wide[label].sum() + table.attrs["intercept"][label])
    assert wide.loc[named, [called, rival]].abs().max(axis=1).is_monotonic_decreasing
    first, second = (t.get_text() for t in ax.get_legend().get_texts())
    total = table.loc[table["label"] == called, "contribution"].sum() + table.attrs["intercept"][called]
    assert first == f"lipid-associated (called): amount {total:.2f}"
    name = learned.obs_names[cell]
    assert ax.get_title(loc="left") == f"State of {name}: lipid-associated, against {pretty(rival)}"
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
    assert pretty(why) in " ".join(said.split())


def test_the_colours_are_those_of_the_state(learned):
    ax = tam.pl.evidence(learned, int(np.flatnonzero(learned.obs["tam_state"] == "inflammatory")[0]))
    colors = dict(zip(learned.obs["tam_state"].cat.categories, learned.uns["tam_state_colors"], strict=True))
    assert ax.containers[0][0].get_facecolor() == plt.matplotlib.colors.to_rgba(colors["inflammatory"])


def test_given_axes_are_used(annotated):
    _, ax = plt.subplots()
    assert tam.pl.evidence(annotated, 0, ax=ax) is ax


def test_a_cell_without_genes_says_so(example):
    example.X[0] = 0
    example.X.eliminate_zeros()
    tam.tl.annotate(example)
    ax = tam.pl.evidence(example, 0)
    assert [t.get_text() for t in ax.texts] == ["no gene contributes to a label"]


def test_refused(annotated, example):
    with pytest.raises(ParameterError, match=r"axis must be one of compartment, origin, state .* not 'overlay'"):
        tam.pl.evidence(annotated, 0, axis="overlay")
    with pytest.raises(ParameterError, match="n at least 1"):
        tam.pl.evidence(annotated, 0, n=0)
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.evidence(example, 0)


# Markers.


def names(ax) -> list[str]:
    return [t.get_text() for t in ax.get_xticklabels()]


def id_of(shown: str) -> str:
    return next((i for i in tam.load_signatures() if pretty(i) == shown), shown.replace(" ", "_"))


def rows(ax) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def heads(ax) -> list[str]:
    return [t.get_text() for t in ax.texts]


def expression(adata) -> np.ndarray:
    x = adata.X.toarray().astype(float)
    return np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)


def test_dots_are_detection_and_scaled_means(learned):
    ax = tam.pl.markers(learned)
    state = learned.obs["tam_state"].astype(str).to_numpy()
    x = expression(learned)
    labels = [id_of(r.rsplit(" (", 1)[0]) for r in rows(ax)]
    columns = [list(learned.var_names).index(g) for g in names(ax)]
    means = np.array([x[state == s][:, columns].mean(axis=0) for s in labels])
    shares = np.array([(x[state == s][:, columns] > 0).mean(axis=0) for s in labels])
    dots = ax.collections[0]
    np.testing.assert_allclose(dots.get_array(), (means / means.max(axis=0)).ravel(), rtol=1e-5)
    np.testing.assert_allclose(dots.get_sizes(), _LARGEST_DOT * shares.ravel(), rtol=1e-6)
    assert rows(ax)[0].endswith(f"({(state == labels[0]).sum()})")


def test_by_default_genes_are_in_no_signature_of_the_axis_and_lead_in_their_label(learned):
    ax = tam.pl.markers(learned, n=3)
    known = {g.symbol for s in tam.load_signatures(axis="state").values() for g in s.all_genes}
    assert not known & set(names(ax))
    assert len(set(names(ax))) == len(names(ax)) == 3 * len(heads(ax))
    scaled = ax.collections[0].get_array().reshape(len(rows(ax)), -1)
    labels = [r.rsplit(" (", 1)[0] for r in rows(ax)]
    for i, head in enumerate(heads(ax)):
        assert (scaled[labels.index(head), 3 * i : 3 * i + 3] > 0.9).all()


@pytest.mark.parametrize("in_signature", [False, True])
def test_no_label_with_enough_cells_has_more_of_a_gene_than_the_one_above_it(learned, in_signature):
    ax = tam.pl.markers(learned, n=3, in_signature=in_signature)
    state = learned.obs["tam_state"].astype(str).to_numpy()
    x = expression(learned)[:, learned.var_names.get_indexer(names(ax))]
    means = {s: x[state == s].mean(axis=0) for s in set(state) - {"not_macrophage"} if (state == s).sum() >= 5}
    starts = [round(t.xy[0] - 1) for t in ax.texts]  # three genes each, the text in the middle
    for start, head in zip(starts, heads(ax), strict=True):
        for c in range(start, start + 3):
            assert max(means, key=lambda s: means[s][c]) == id_of(head)


def test_they_are_the_genes_that_the_simulation_raised(learned):
    ax = tam.pl.markers(learned, n=3)
    for i, head in enumerate(heads(ax)):
        raised = set(learned.uns["truth"]["own_genes"].get(id_of(head), ()))
        if (learned.obs["tam_state"] == id_of(head)).sum() < 10:  # led by noise
            continue
        assert not raised or len(raised & set(names(ax)[3 * i : 3 * i + 3])) >= 2
    assert len(heads(ax)) >= 3


def test_genes_are_those_that_are_most_deviations_above_the_others(learned):
    ax = tam.pl.markers(learned, genes=None, n=2)
    label = id_of(heads(ax)[0])
    inside = (learned.obs["tam_state"] != "not_macrophage").to_numpy()
    here = (learned.obs["tam_state"] == label).to_numpy()[inside]
    x = expression(learned)[inside]
    apart = (x[here].mean(0) - x[~here].mean(0)) / np.sqrt((x[here].var(0) + x[~here].var(0)) / 2 + 1e-12)
    known = {g.symbol for s in tam.load_signatures(axis="state").values() for g in s.all_genes}
    apart[learned.var_names.isin(known)] = -np.inf
    assert names(ax)[:2] == learned.var_names[np.argsort(-apart)[:2]].tolist()


def test_of_the_signature_only_its_own_genes(learned):
    ax = tam.pl.markers(learned, in_signature=True, n=2)
    for i, head in enumerate(heads(ax)):
        own = {g.symbol for g in tam.load_signature(id_of(head)).all_genes}
        assert set(names(ax)[2 * i : 2 * i + 2]) <= own


def test_given_genes_are_drawn_as_given(learned):
    ax = tam.pl.markers(learned, genes=["SPP1", "C1QA", "CD163"], groupby="origin")
    assert names(ax) == ["SPP1", "C1QA", "CD163"]
    assert rows(ax)[0].startswith("microglia (")
    grouped = tam.pl.markers(learned, genes={"one": ["SPP1"], "two": ["C1QA", "CD163"]})
    assert heads(grouped) == ["one", "two"]


def test_compartments_are_all_cells_and_columns_the_macrophages(learned):
    n = {r.rsplit(" (", 1)[0]: r for r in rows(tam.pl.markers(learned, groupby="compartment", n=1))}
    assert "T/NK" in n
    ax = tam.pl.markers(learned, groupby="sample", genes=["SPP1"])
    assert rows(ax) == [f"s01 ({(learned.obs['tam_compartment'] == 'macrophage').sum()})"]


def test_small_groups_have_a_row_and_no_genes(learned):
    learned.obs["group"] = "large"
    learned.obs.loc[learned.obs_names[learned.obs["tam_compartment"] == "macrophage"][:3], "group"] = "small"
    ax = tam.pl.markers(learned, groupby="group", n=2)
    assert rows(ax)[1] == "small (3)"
    assert heads(ax) == ["large"]


def test_what_markers_refuse(learned, annotated, example):
    with pytest.raises(ParameterError, match="n must be at least 1"):
        tam.pl.markers(learned, n=0)
    with pytest.raises(ParameterError, match="No gene XYZ1 in the matrix 'X'"):
        tam.pl.markers(learned, genes=["SPP1", "XYZ1"])
    with pytest.raises(ParameterError, match="no signatures"):
        tam.pl.markers(learned, groupby="sample", in_signature=True)
    with pytest.raises(ResultNotFoundError, match="no gene to draw"):
        tam.pl.markers(learned, groupby="sample")  # one sample: nothing to be above
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.markers(example)
    annotated.X = annotated.X * 3 + 0
    annotated.X.data[:] = np.random.default_rng(0).permutation(annotated.X.data)
    with pytest.raises(MatrixError, match="has changed"):
        tam.pl.markers(annotated)
    assert not plt.get_fignums()
