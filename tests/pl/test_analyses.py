from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
import tamannot.data as slots
from tamannot.analysis._crosstalk import run_tests
from tamannot.analysis._crosstalk_values import PRE_SPECIFIED
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.pl._style import pretty
from tamannot.stats import _classifiers


@pytest.fixture
def tested(annotated):
    rng = np.random.default_rng(0)
    names = [c for h in PRE_SPECIFIED for c in (h.column, f"malignant_{h.malignant}")]
    index = pd.Index([f"s{i}" for i in range(12)], name="sample")
    table = pd.DataFrame(rng.standard_normal((12, 7)), index=index, columns=[*names, "depth"])
    tests = run_tests(table, PRE_SPECIFIED, ["depth"], n_bootstrap=50, seed=0)
    record = {"tests": tests, "samples": table.assign(used=np.arange(12) > 0), "cautions": [], "parameters": {}}
    slots.write_analysis(annotated, "tam", "crosstalk", record)
    return annotated


def test_a_row_a_test_raw_and_adjusted(tested):
    ax = tam.pl.crosstalk(tested)
    tests = tam.get.crosstalk(tested)
    raw, given = ax.get_lines()[:2]
    assert raw.get_xdata() == pytest.approx(tests["rho"])
    assert given.get_xdata() == pytest.approx(tests["rho_adjusted"])
    assert next(t.get_text() for t in ax.get_yticklabels()).startswith("share of lipid-associated")
    assert sum("given depth" in t.get_text() for t in ax.texts) == 3


def test_a_row_says_in_which_share_of_cells_there_is_too_little_signal(tested):
    record = dict(tested.uns["tamannot"]["tam"]["crosstalk"])
    low = [np.nan, 0.87, np.nan]
    slots.write_analysis(tested, "tam", "crosstalk", record | {"tests": record["tests"].assign(low_signal_tam=low)})
    rows = [t.get_text() for t in tam.pl.crosstalk(tested).get_yticklabels()]
    assert ["87% too little signal" in row for row in rows] == [False, True, False]
    ax = tam.pl.crosstalk(tested, pair=("iron_export", "ferroptosis_drive"))
    assert ax.get_xlabel() == "mean z of iron export in macrophages\n(87% too little signal)"


def test_the_smallest_p_first_where_there_are_too_many(tested):
    ax = tam.pl.crosstalk(tested, n=1)
    best = tam.get.crosstalk(tested).sort_values("p").iloc[0]
    assert ax.get_lines()[0].get_xdata() == pytest.approx([best["rho"]])
    assert "the 1 of 3 tests" in ax.get_xlabel()


def test_samples_of_a_pair(tested):
    _, ax = plt.subplots()
    assert tam.pl.crosstalk(tested, pair=("lipid_associated", "ferroptosis_defence"), ax=ax) is ax
    shown = np.asarray(ax.collections[0].get_offsets())
    used = tam.get.crosstalk(tested, kind="samples").iloc[1:]
    assert shown[:, 0] == pytest.approx(used["share_lipid_associated"].to_numpy())
    assert shown[:, 1] == pytest.approx(used["malignant_ferroptosis_defence"].to_numpy())
    ax = tam.pl.crosstalk(tested, pair=("lipid_associated", "ferroptosis_defence"), size=7)
    assert ax.collections[0].get_sizes().tolist() == [7]


def test_what_cannot_be_drawn(tested, example):
    with pytest.raises(ParameterError, match="was not tested"):
        tam.pl.crosstalk(tested, pair=("m1", "gpx4_axis"))
    with pytest.raises(ParameterError, match="n must be at least 1"):
        tam.pl.crosstalk(tested, n=0)
    with pytest.raises(ResultNotFoundError):
        tam.pl.crosstalk(example)


# Enrichment.


@pytest.fixture
def enriched(tiny):
    rows = [
        ("a", "up", 2.0, 1e-9, 1),
        ("a", "mild", 1.2, 0.3, 2),
        ("a", "down", -1.5, 0.01, 3),
        ("b", "down", 1.8, 0.0, 1),
        ("b", "up", -2.4, 1e-4, 2),
    ]
    table = pd.DataFrame(rows, columns=["group", "signature", "nes", "q", "rank"])
    slots.write_record(tiny, "tam", {"method": "ucell"})
    slots.write_analysis(tiny, "tam", "enrichment", {"table": table, "cautions": np.array([], dtype=object)})
    return tiny


def test_one_dot_a_test_of_the_leading_signatures(enriched):
    ax = tam.pl.enrichment(enriched, n=1)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["up", "down"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    dots = ax.collections[0]
    assert dots.get_offsets().tolist() == [[0, 0], [0, 1], [1, 1], [1, 0]]
    np.testing.assert_allclose(dots.get_array(), [2.0, -1.5, 1.8, -2.4])
    assert dots.get_clim() == (-2.4, 2.4)
    size = dots.get_sizes()
    assert size[0] == size[2] > size[3] > size[1]


def test_ring_marks_what_is_beyond_chance(enriched):
    dots = tam.pl.enrichment(enriched, n=2).collections[0]
    assert (np.asarray(dots.get_linewidths()) > 0.5).tolist() == [True, False, True, True, True]


def test_given_axes_are_used_and_bad_numbers_refused(enriched, tiny):
    _, ax = plt.subplots()
    assert tam.pl.enrichment(enriched, ax=ax) is ax
    with pytest.raises(ParameterError, match="at least 1"):
        tam.pl.enrichment(enriched, n=0)
    with pytest.raises(ResultNotFoundError):
        tam.pl.enrichment(enriched, key="other")


# Ferroptosis.


@pytest.fixture
def summarised(annotated):
    tam.tl.ferroptosis_summary(annotated, "patient", min_cells=1)
    return annotated


def _names(ax, shown):
    ids = {pretty(name): name for name in [*shown["program"], *shown["label"]]}
    labels = [ids[t.get_text().split("\n")[0]] for t in ax.get_xticklabels()]
    return labels, [ids[t.get_text().rsplit(" ", 1)[0]] for t in ax.get_yticklabels()]


def test_colours_are_means_over_samples(summarised):
    ax = tam.pl.ferroptosis(summarised)
    rows = tam.get.ferroptosis(summarised)
    labels, programs = _names(ax, tam.get.ferroptosis(summarised))
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
    labels, programs = _names(ax, tam.get.ferroptosis(summarised))
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
    assert [t.get_text() for t in ax.get_yticklabels()] == ["iron ◆", "glutathione ▼", "PUFA ▲", "lipid peroxide ▲"]


def test_labels_in_too_small_samples_are_left_empty(annotated):
    tam.tl.ferroptosis_summary(annotated, "patient", min_cells=1000)
    ax = tam.pl.ferroptosis(annotated)
    z = ax.images[0].get_array().filled(np.nan)
    assert np.isnan(z).all()
    assert all("n = 0" in t.get_text() for t in ax.get_xticklabels())
    assert [p.get_hatch() for p in ax.patches] == ["xxxx"] * z.size  # crossed, and not grey
    assert ax.get_facecolor() == (1, 1, 1, 1)
    assert {t.get_text() for t in ax.texts} == {"fewer than 1000 cells in each sample"}


def test_a_label_without_any_value_says_that_there_is_too_little_signal(summarised):
    rows = summarised.uns["tamannot"]["tam"]["ferroptosis_summary"]["state"]["samples"]
    rows.loc[rows["label"] == "inflammatory", ["z", "low_signal"]] = np.nan, 1.0
    ax = tam.pl.ferroptosis(summarised)
    assert "too little signal" in [t.get_text() for t in ax.texts]
    assert "no value: too little signal or too few cells" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_given_axes_and_refusals(summarised, example):
    _, ax = plt.subplots()
    assert tam.pl.ferroptosis(summarised, ax=ax) is ax
    with pytest.raises(ParameterError, match="kind must be of"):
        tam.pl.ferroptosis(summarised, kind="gene")
    with pytest.raises(ResultNotFoundError):
        tam.pl.ferroptosis(example)


# Reliability.


def overconfident(n=300):
    p = np.random.default_rng(0).random(n)
    return p, np.random.default_rng(1).random(n) < 0.5 + (p - 0.5) / 2


def drawn(ax):
    return [(line.get_xdata(), line.get_ydata()) for line, *_ in ax.containers]


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_points_bars_and_legend_are_the_figures():
    p, truth = overconfident()
    ax = tam.pl.reliability(p, truth, n_bins=10)
    found = _classifiers.reliability(p, truth, 10)
    ((x, y),) = drawn(ax)
    np.testing.assert_array_equal(x, found.stated)
    np.testing.assert_array_equal(y, found.observed)
    (bars,) = ax.containers[0][2]
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, np.stack([found.low, found.high], axis=1))
    assert f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, slope {found.slope:.2f}" in legend(ax)


def test_a_table_is_drawn_by_its_winner():
    proba = pd.DataFrame({"a": [0.7, 0.2, 0.9, 0.6], "b": [0.3, 0.8, 0.1, 0.4]})
    ((x, y),) = drawn(tam.pl.reliability(proba, pd.Series(["a", "b", "b", "a"], dtype="category"), n_bins=2))
    np.testing.assert_allclose(x, [0.65, 0.85])
    np.testing.assert_allclose(y, [1.0, 0.5])


def test_a_second_curve_differs_in_colour_and_marker_and_shares_the_diagonal():
    p, truth = overconfident()
    _, ax = plt.subplots()
    assert tam.pl.reliability(p, truth, label="one", ax=ax) is ax
    tam.pl.reliability(p**2, truth, label="two", ax=ax)
    first, second = (c[0] for c in ax.containers)
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    assert len(ax.lines) == 1 + 2 * 3
    assert [t.split("\n")[0] for t in legend(ax)] == ["calibrated", "one", "two"]


def test_no_slope_is_said():
    assert "no slope" in legend(tam.pl.reliability([0.2, 0.7], [True, True]))[1]


def test_an_annotated_object(annotated):
    inside = (annotated.obs["tam_compartment"] == "macrophage").to_numpy()
    proba = annotated.obsm["tam_state_proba"][inside]
    ax = tam.pl.reliability(proba, proba.idxmax(axis=1))
    ((_, y),) = drawn(ax)
    assert (y == 1).all()


TABLE = pd.DataFrame({"a": [0.5, 0.6]})


@pytest.mark.parametrize(
    ("proba", "truth", "options", "message"),
    [
        ([], [], {}, "empty"),
        ([0.5], [True, False], {}, "1 cells and truth 2"),
        ([1.5], [True], {}, "not probabilities"),
        (ad.AnnData(np.zeros((3, 2))), "truth", {}, "proba must be numbers"),
        ([np.nan], [True], {}, "not probabilities"),
        (["much"], [True], {}, "must be numbers"),
        ([0.5, 0.5], ["a", "b"], {}, "yes or no"),
        ([[0.5, 0.5]], [True], {}, "2 dimensions"),
        ([0.5], [True], {"n_bins": 0}, "n_bins must be at least 1"),
        (TABLE, ["a", "z"], {}, "proba does not have: z. Available: a"),
        (TABLE, ["a"], {}, "2 cells and truth 1"),
    ],
)
def test_refused(proba, truth, options, message):
    with pytest.raises(ParameterError, match=message):
        tam.pl.reliability(proba, truth, **options)
    assert not plt.get_fignums()
