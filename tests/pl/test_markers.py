from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tamannot as tam
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.pl._genes import _LARGEST_DOT


def genes(ax) -> list[str]:
    return [t.get_text() for t in ax.get_xticklabels()]


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
    x, names = expression(learned), list(learned.var_names)
    labels = [r.rsplit(" (", 1)[0].replace(" ", "_") for r in rows(ax)]
    columns = [names.index(g) for g in genes(ax)]
    means = np.array([x[state == s][:, columns].mean(axis=0) for s in labels])
    shares = np.array([(x[state == s][:, columns] > 0).mean(axis=0) for s in labels])
    dots = ax.collections[0]
    np.testing.assert_allclose(dots.get_array(), (means / means.max(axis=0)).ravel(), rtol=1e-5)
    np.testing.assert_allclose(dots.get_sizes(), _LARGEST_DOT * shares.ravel(), rtol=1e-6)
    assert rows(ax)[0].endswith(f"({(state == labels[0]).sum()})")


def test_by_default_genes_are_in_no_signature_of_the_axis_and_lead_in_their_label(learned):
    ax = tam.pl.markers(learned, n=3)
    known = {g.symbol for s in tam.load_signatures(axis="state").values() for g in s.all_genes}
    assert not known & set(genes(ax))
    assert len(set(genes(ax))) == len(genes(ax)) == 3 * len(heads(ax))
    scaled = ax.collections[0].get_array().reshape(len(rows(ax)), -1)
    labels = [r.rsplit(" (", 1)[0] for r in rows(ax)]
    for i, head in enumerate(heads(ax)):
        assert (scaled[labels.index(head), 3 * i : 3 * i + 3] > 0.9).all()


@pytest.mark.parametrize("in_signature", [False, True])
def test_no_label_with_enough_cells_has_more_of_a_gene_than_the_one_above_it(learned, in_signature):
    ax = tam.pl.markers(learned, n=3, in_signature=in_signature)
    state = learned.obs["tam_state"].astype(str).to_numpy()
    x = expression(learned)[:, learned.var_names.get_indexer(genes(ax))]
    means = {s: x[state == s].mean(axis=0) for s in set(state) - {"not_macrophage"} if (state == s).sum() >= 5}
    starts = [round(t.xy[0] - 1) for t in ax.texts]  # three genes each, the text in the middle
    for start, head in zip(starts, heads(ax), strict=True):
        for c in range(start, start + 3):
            assert max(means, key=lambda s: means[s][c]) == head.replace(" ", "_")


def test_they_are_the_genes_that_the_simulation_raised(learned):
    ax = tam.pl.markers(learned, n=3)
    for i, head in enumerate(heads(ax)):
        raised = set(learned.uns["truth"]["own_genes"].get(head.replace(" ", "_"), ()))
        if (learned.obs["tam_state"] == head.replace(" ", "_")).sum() < 10:  # led by noise
            continue
        assert not raised or len(raised & set(genes(ax)[3 * i : 3 * i + 3])) >= 2
    assert len(heads(ax)) >= 3


def test_genes_are_those_that_are_most_deviations_above_the_others(learned):
    ax = tam.pl.markers(learned, genes=None, n=2)
    label = heads(ax)[0].replace(" ", "_")
    inside = (learned.obs["tam_state"] != "not_macrophage").to_numpy()
    here = (learned.obs["tam_state"] == label).to_numpy()[inside]
    x = expression(learned)[inside]
    apart = (x[here].mean(0) - x[~here].mean(0)) / np.sqrt((x[here].var(0) + x[~here].var(0)) / 2 + 1e-12)
    known = {g.symbol for s in tam.load_signatures(axis="state").values() for g in s.all_genes}
    apart[learned.var_names.isin(known)] = -np.inf
    assert genes(ax)[:2] == learned.var_names[np.argsort(-apart)[:2]].tolist()


def test_of_the_signature_only_its_own_genes(learned):
    ax = tam.pl.markers(learned, in_signature=True, n=2)
    for i, head in enumerate(heads(ax)):
        own = {g.symbol for g in tam.load_signature(head.replace(" ", "_")).all_genes}
        assert set(genes(ax)[2 * i : 2 * i + 2]) <= own


def test_given_genes_are_drawn_as_given(learned):
    ax = tam.pl.markers(learned, genes=["SPP1", "C1QA", "CD163"], groupby="origin")
    assert genes(ax) == ["SPP1", "C1QA", "CD163"]
    assert rows(ax)[0].startswith("microglia (")
    grouped = tam.pl.markers(learned, genes={"one": ["SPP1"], "two": ["C1QA", "CD163"]})
    assert heads(grouped) == ["one", "two"]


def test_compartments_are_all_cells_and_columns_the_macrophages(learned):
    n = {r.rsplit(" (", 1)[0]: r for r in rows(tam.pl.markers(learned, groupby="compartment", n=1))}
    assert "t nk" in n
    ax = tam.pl.markers(learned, groupby="sample", genes=["SPP1"])
    assert rows(ax) == [f"s01 ({(learned.obs['tam_compartment'] == 'macrophage').sum()})"]


def test_small_groups_have_a_row_and_no_genes(learned):
    learned.obs["group"] = "large"
    learned.obs.loc[learned.obs_names[learned.obs["tam_compartment"] == "macrophage"][:3], "group"] = "small"
    ax = tam.pl.markers(learned, groupby="group", n=2)
    assert rows(ax)[1] == "small (3)"
    assert heads(ax) == ["large"]


def test_refused(learned, annotated, example):
    with pytest.raises(ParameterError, match="n is at least 1"):
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
