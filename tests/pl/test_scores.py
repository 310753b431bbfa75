from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.patches import StepPatch

import tamannot as tam
from tamannot.errors import GeneIdError, ParameterError, ResultNotFoundError, SignatureNotFoundError
from tamannot.pl._style import pretty


def names(ax) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def shares(ax) -> list[str]:
    return [t.get_text() for t in ax.texts if " of " in t.get_text()]


def steps(ax) -> list[StepPatch]:
    return [p for p in ax.patches if isinstance(p, StepPatch)]


def test_the_states_of_the_macrophages_with_the_share_called_so(made):
    ax = tam.pl.scores(made)
    state = made.obs["tam_state"][made.obs["tam_state"] != "not_macrophage"]
    ids = list(made.obsm["tam_z"].columns[:5])
    assert names(ax) == [pretty(c) for c in ids]
    assert shares(ax) == [f"called {(state == c).mean():.1%} of {state.size:,}" for c in ids]


def test_what_is_no_label_has_the_share_beyond_its_null(made):
    p = made.obsm["tam_p"]["m1"][(made.obs["tam_state"] != "not_macrophage").to_numpy()]
    assert shares(tam.pl.scores(made, "m1")) == [f"p < 0.01 in {(p < 0.01).mean():.1%} of {p.size:,}"]


def test_baselines_of_the_run_are_marked(annotated):
    ax = tam.pl.scores(annotated, ["inflammatory", "hypoxic"])
    table = annotated.uns["tamannot"]["tam"]["baselines"].loc["inflammatory"].set_index("origin")["baseline"]
    marked = {line.get_label(): line.get_xdata()[0] for line in ax.lines if line.get_marker() == "^"}
    assert marked == {f"baseline, {pretty(o)}": pytest.approx(b) for o, b in table.items()}


def test_areas_are_the_cells_and_the_line_is_the_standard_normal(made):
    ax = tam.pl.scores(made, "m1", only_macrophages=False)
    (drawn,) = steps(ax)
    values, edges, baseline = drawn.get_data()
    height = baseline - values
    line = ax.lines[0]
    unit = (0 - line.get_ydata()).max() / (2 * np.pi) ** -0.5  # the line is drawn on the same scale
    inside = made.obsm["tam_z"]["m1"].between(edges[0], edges[-1]).mean()
    assert (height / unit * np.diff(edges)).sum() == pytest.approx(inside)
    assert line.get_xdata()[np.argmin(line.get_ydata())] == pytest.approx(0)


def test_groups_are_rows_in_their_colours(made):
    ax = tam.pl.scores(made, "lipid_associated", groupby="tam_state")
    assert names(ax)[0] == "lipid-associated"
    assert "not macrophage" not in names(ax)
    assert [float(s.split()[1].rstrip("%")) for s in shares(ax)] == [100.0] + [0.0] * (len(names(ax)) - 1)
    assert len({p.get_facecolor() for p in steps(ax)}) == len(names(ax))
    assert ax.get_title(loc="left").startswith("z of lipid-associated in ")
    assert ax.get_title(loc="left").endswith(" macrophages, by tam state")


def test_several_signatures_by_groups_name_both(made):
    assert names(tam.pl.scores(made, ["m1", "m2"], groupby="sample"))[5] == "M2, s0"


def test_few_cells_have_wide_bins(made):
    few, many = (steps(tam.pl.scores(made[:n].copy(), "m1", only_macrophages=False))[0] for n in (20, 1000))
    assert np.diff(few.get_data().edges) == pytest.approx(1)
    assert np.diff(many.get_data().edges) == pytest.approx(0.25)


def test_compartments_are_of_all_cells(annotated):
    (text,) = shares(tam.pl.scores(annotated, "macrophage"))
    assert text == f"called {(annotated.obs['tam_compartment'] == 'macrophage').mean():.1%} of {annotated.n_obs}"


def test_a_signature_without_p_says_so(made):
    made.obsm["tam_p"]["m1"] = np.float32(np.nan)
    ax = tam.pl.scores(made, "m1")
    assert [t.get_text() for t in ax.texts if "cells" in t.get_text()] == [
        f"no p ({(made.obs['tam_state'] != 'not_macrophage').sum()} cells)"
    ]


def test_an_axis_and_a_label_are_those_of_the_run(made, annotated):
    assert names(tam.pl.scores(made, "state")) == names(tam.pl.scores(made))
    assert names(tam.pl.scores(made, ["lipid-associated", "m1"])) == ["lipid-associated", "M1"]
    assert shares(tam.pl.scores(annotated, tam.load_signatures("state"))) == shares(tam.pl.scores(annotated))


def test_genes_are_scored_in_the_drawn_cells(annotated):
    genes = [g.symbol for g in tam.load_signature("microglia").genes]
    for given, name in ((genes, "genes"), ({"mine": genes}, "mine")):
        ax = tam.pl.scores(annotated, given)
        macrophages = annotated[annotated.obs["tam_compartment"] == "macrophage"].copy()
        tam.tl.score(macrophages, {name: genes}, null="matched", key_added="own")
        p = tam.get.scores(macrophages, "own", kind="p")[name]
        assert names(ax) == [name]
        assert shares(ax) == [f"p < 0.01 in {(p < 0.01).mean():.1%} of {p.notna().sum()}"]
    assert list(annotated.obsm["tam_z"].columns).count("genes") == 0


def test_a_signature_of_the_same_id_is_not_drawn_as_the_label(annotated):
    genes = [g.symbol for g in tam.load_signature("microglia").genes]
    assert shares(tam.pl.scores(annotated, {"inflammatory": genes}))[0].startswith("p < 0.01 in")


def test_scored_only(tiny):
    tam.tl.score(tiny, tam.read_signatures({"own": list(tiny.var_names[:6])}), null="matched")
    assert names(tam.pl.scores(tiny)) == ["own"]


def test_refused(made, tiny, annotated):
    with pytest.raises(SignatureNotFoundError, match="'m3' is not a file, an axis"):
        tam.pl.scores(annotated, ["m1", "m3"])
    with pytest.raises(GeneIdError, match="None of the genes of"):
        tam.pl.scores(annotated, ["XYZ1", "XYZ2"])
    with pytest.raises(ParameterError, match="empty"):
        tam.pl.scores(made, [])
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.scores(made, groupby="nothing")
    with pytest.raises(ResultNotFoundError, match="no cells"):
        tam.pl.scores(made[made.obs["tam_state"] == "not_macrophage"].copy())
    tam.tl.score(tiny, tam.read_signatures({"own": list(tiny.var_names[:6])}))
    with pytest.raises(ResultNotFoundError, match="tam_z"):
        tam.pl.scores(tiny)


# Coverage.


def texts_of(ax) -> list[str]:
    return [t.get_text() for t in ax.texts if " of " in t.get_text()]


def test_bars_are_the_shares_in_the_order_of_the_run(annotated):
    ax = tam.pl.coverage(annotated)
    table = tam.get.coverage(annotated)
    assert names(ax) == [pretty(i) for i in table.index]
    width = {round(p.get_y() + p.get_height() / 2, 6): p.get_width() for c in ax.containers[1:] for p in c}
    assert [width[round(y, 6)] for y in ax.get_yticks()] == pytest.approx(table["coverage"].tolist())
    assert [t.split(",")[0] for t in texts_of(ax)] == [
        f"{a} of {b}" for a, b in zip(table["n_present"], table["n_genes"], strict=True)
    ]


def test_what_is_missing_is_named_where_it_is_little(annotated):
    row = tam.get.coverage(annotated).loc["microglia"]
    (text,) = (t for t in texts_of(tam.pl.coverage(annotated, axis="origin")) if t.startswith("16 of 20"))
    assert text == f"16 of 20, without {row['missing'].replace(',', ', ')}"


def test_few_are_marked_without_colours_as_well(annotated):
    ax = tam.pl.coverage(annotated, axis=["origin", "state"])
    _, enough, few = ax.containers
    assert {p.get_hatch() for p in few} == {"////"}
    assert max(p.get_width() for p in few) < 0.5 <= min(p.get_width() for p in enough)
    assert ax.lines[0].get_xdata()[0] == 0.5
    assert [t.get_text() for t in ax.texts if t.get_style() == "italic"] == ["origin", "state"]
    assert len(tam.pl.coverage(annotated, axis="state", threshold=0.0).containers) == 2


def test_what_coverage_refuses(annotated, example):
    with pytest.raises(ParameterError, match=r"No axis 'nothing' in the run 'tam'\. Available: compartment"):
        tam.pl.coverage(annotated, axis=["state", "nothing"])
    with pytest.raises(ParameterError, match="threshold is a share"):
        tam.pl.coverage(annotated, threshold=50)
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.coverage(example)
    assert not plt.get_fignums()


# Polarization.


def sayings(ax) -> str:
    return ax.get_title(loc="left")


def test_points_are_the_z_of_macrophages_and_transitional_stand_out(made):
    ax = tam.pl.polarization(made)
    rest, both = ax.collections
    inside = made.obs["tam_state"] != "not_macrophage"
    is_both = (made.obs["tam_state"] == "transitional").to_numpy()
    assert len(rest.get_offsets()) + len(both.get_offsets()) == inside.sum()
    z = made.obsm["tam_z"][["m1", "m2"]].to_numpy()[is_both]
    np.testing.assert_allclose(np.sort(both.get_offsets(), axis=0), np.sort(z, axis=0), rtol=1e-6)
    assert ax.get_legend().get_texts()[0].get_text() == f"transitional ({is_both.sum()})"
    assert both.get_zorder() > rest.get_zorder()


def test_shares_are_of_the_macrophages(made):
    inside = (made.obs["tam_state"] != "not_macrophage").to_numpy()
    one, other = (made.obsm["tam_p"][["m1", "m2"]].to_numpy()[inside] < 0.01).T
    assert f"only M1 {(one & ~other).mean():.1%}, only M2 {(other & ~one).mean():.1%}" in sayings(
        tam.pl.polarization(made)
    )


def test_many_cells_are_hexagons_that_count_them_all(make):
    adata = make(15_000)
    ax = tam.pl.polarization(adata)
    (hexagons,) = (c for c in ax.collections if isinstance(c, PolyCollection))
    assert hexagons.get_array().sum() == (adata.obs["tam_state"] != "not_macrophage").sum()
    with plt.rc_context({"text.parse_math": False}):  # as in reports
        ax.figure.draw_without_rendering()
        said = {t.get_text() for t in ax.figure.axes[1].get_yticklabels(which="both")}
    assert {"1", "10"} < said
    assert not any("$" in text for text in said)


def test_genes_are_drawn_by_their_expression(annotated):
    ax = tam.pl.polarization(annotated, by=("SPP1", "CD74"))
    inside = (annotated.obs["tam_compartment"] == "macrophage").to_numpy()
    x = annotated[inside, ["SPP1", "CD74"]].X.toarray()
    x = np.log1p(x / np.asarray(annotated.X.sum(axis=1))[inside] * 1e4)
    np.testing.assert_allclose(np.sort(ax.collections[0].get_offsets(), axis=0), np.sort(x, axis=0), rtol=1e-4)
    neither = (x == 0).all(axis=1).mean()
    assert f"neither {neither:.1%}" in sayings(ax)
    assert ax.get_ylabel() == "CD74: log1p expression"


def test_samples_are_means_of_their_macrophages(made):
    made.obs["sample"] = np.where(np.arange(made.n_obs) < 1950, "large", "small")
    ax = tam.pl.polarization(made, sample_key="sample")
    inside = made.obs["tam_state"] != "not_macrophage"
    means = made.obsm["tam_z"][inside].groupby(made.obs["sample"][inside])[["m1", "m2"]].mean()
    np.testing.assert_allclose(ax.collections[0].get_offsets(), means, rtol=1e-4, atol=1e-6)
    assert [t.get_text() for t in ax.texts] == ["large", "small"]
    filled = ax.collections[0].get_facecolors()
    assert filled[1].tolist() == [1, 1, 1, 1] != filled[0].tolist()
    assert ax.get_legend().get_texts()[0].get_text() == "fewer than 30 macrophages"


def test_without_a_p_no_shares_are_said(annotated):
    assert "Too few genes" in sayings(tam.pl.polarization(annotated))  # 3 of 10 genes of m1


def test_what_polarization_refuses(made, annotated, example):
    with pytest.raises(ParameterError, match="a pair"):
        tam.pl.polarization(made, by=("m1", "m1"))
    with pytest.raises(ParameterError, match="two of a kind"):
        tam.pl.polarization(made, by=("m1", "SPP1"))
    with pytest.raises(ParameterError, match="No gene XYZ1 in the matrix 'X'"):
        tam.pl.polarization(annotated, by=("XYZ1", "SPP1"))
    with pytest.raises(ResultNotFoundError, match="no macrophages"):
        tam.pl.polarization(made[made.obs["tam_state"] == "not_macrophage"].copy())
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.polarization(example)
    assert not plt.get_fignums()
