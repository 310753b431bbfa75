from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.data import write_analysis
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.pl._style import pretty
from tamannot.report import material_of, summarise
from tamannot.report._analyses import evidence
from tamannot.report._findings import by_sample, calls, cautions, found
from tamannot.report._material import Material
from tamannot.report._methods import methods, signatures


def tables(section):
    return {b.title: b for b in section.blocks if b.kind == "table"}


def column(table, name):
    place = table.columns.index(name)
    return [row[place].text for row in table.rows]


def doubts(material) -> dict[str, str]:
    lists = [b for b in cautions(material).blocks if b.kind == "points"]
    return {p.head: p.text for p in lists[0].points} if len(lists) > 1 else {}


def words(text):
    return text.replace("\u00a0", " ")


def test_first_what_was_found_then_what_not_to_believe(material):
    report = summarise(material)
    names = [s.name for s in report.sections]
    assert names == [
        *(
            "overview",
            "found",
            "cautions",
            "input",
            "calls",
            "samples",
            "ferroptosis",
            "evidence",
            "signatures",
            "methods",
            "versions",
        )
    ]
    assert report.title == "Macrophages of the cohort"
    assert len(report.sections[1].blocks) == 5


def test_five_sentences_have_the_counts(cohort, material):
    said = [words(b.text) for b in found(material).blocks]
    state = cohort.obs["tam_state"]
    macrophages = cohort.obs["tam_compartment"] == "macrophage"
    assert said[0].startswith(
        f"Of 300 cells of 4 samples, {macrophages.sum()} ({macrophages.mean():.0%}".replace("%", " %")
    )
    for name in ("lipid_associated", "inflammatory"):
        assert re.search(
            rf"{(state == name).sum()}( of {macrophages.sum()} macrophages are)? {pretty(name)} \(", said[2]
        )
    low = (cohort.obs["tam_state_status"] == "low_signal")[macrophages].mean()
    assert f"no active program ({100 * low:.{1 if low < 0.1 else 0}f} %)" in said[2]
    assert "states are called by the activity of signatures and by a classifier trained on these cells" in said[4]
    assert "origins are called by comparing their z scores" in said[4]


def test_counts_stand_before_their_labels(annotated, of):
    cells, origins, *_ = (words(b.text) for b in found(of(annotated)).blocks)
    assert cells.startswith(
        "Of 184 cells, 19 (10 %) are macrophages. Other cells: mostly 59 OPC (32 %), 25 neuron (14 %)"
    )
    assert cells.endswith(" 34 (18 %) have no compartment.")
    assert origins.startswith("By origin (similarity, not lineage), 16 of 19 macrophages are microglia (84 %) and 1 ")
    assert "monocyte-derived (5.3 %). 2 are unassigned (11 %): " in origins


def test_without_macrophages_there_is_nothing_to_say(cohort, of):
    for axis in ("origin", "state"):
        cohort.obs[f"tam_{axis}"] = pd.Categorical(["not_macrophage"] * cohort.n_obs)
    cohort.obs["tam_compartment"] = pd.Categorical(["t_nk"] * cohort.n_obs)
    report = summarise(of(cohort, sample_key="patient"))
    assert "there are no macrophages" in report.sections[1].blocks[1].text
    assert "evidence" not in [s.name for s in report.sections]


def test_shares_by_sample_have_intervals(cohort, material):
    section = by_sample(material)
    table = tables(section)["State × origin by sample"]
    here = (cohort.obs["tam_compartment"] == "macrophage") & (cohort.obs["patient"] == "p1")
    mine = [row for row in table.rows if row[0].text == "p1"]
    assert sum(row[3].value for row in mine) == here.sum()
    assert sum(row[5].value for row in mine) == pytest.approx(1)
    assert all(row[6].value < row[5].value < row[7].value for row in mine)
    of_states = tables(section)["States over samples"]
    shares = pd.crosstab(cohort.obs["patient"], cohort.obs["tam_state"]).drop(columns="not_macrophage", errors="ignore")
    mean = shares.div(shares.sum(axis=1), axis=0).mean()
    for row in of_states.rows:
        assert row[2].value == pytest.approx(mean.rename(pretty)[row[0].text])
        assert row[3].value <= row[2].value <= row[4].value


def test_two_samples_have_no_interval_over_samples(cohort, of):
    table = tables(by_sample(of(cohort, sample_key="arm")))["States over samples"]
    assert set(column(table, "low")) == {"–"}


def test_cells_of_no_sample_are_left_out(cohort, of):
    cohort.obs.loc[cohort.obs_names[:100], "patient"] = None
    table = tables(by_sample(of(cohort, sample_key="patient")))["State × origin by sample"]
    here = (cohort.obs["tam_compartment"] == "macrophage").to_numpy() & cohort.obs["patient"].notna().to_numpy()
    assert sum(row[3].value for row in table.rows) == here.sum()


def test_ferroptosis_says_what_its_sign_means_and_where_there_is_too_little_signal(material):
    section = next(s for s in summarise(material).sections if s.name == "ferroptosis")
    said = " ".join(b.text for b in section.blocks if b.kind == "text")
    assert "drive rose in 13, defence rose in 15 and balance fell in 15" in said
    assert "share low signal" in tables(section)["Programs"].columns


def test_reasons_of_those_without_a_label(cohort, material):
    table = tables(calls(material))["Why a cell has a state or none"]
    found_ = dict(zip(column(table, "status"), column(table, "n cells"), strict=True))
    here = cohort.obs["tam_compartment"] == "macrophage"
    counts = cohort.obs.loc[here, "tam_state_status"].value_counts()
    assert found_ == {pretty(str(k)): f"{v:,}" for k, v in counts.items() if v}


def test_the_sample_is_that_of_the_run(cohort):
    cohort.uns["tamannot"]["tam"]["parameters"]["sample_key"] = "patient"
    assert material_of(cohort, name="x").sample_key == "patient"
    del cohort.obs["patient"]
    assert material_of(cohort, name="x").sample_key is None


def test_an_analysis_is_shown_whatever_its_tables(cohort, of, monkeypatch):
    record = {
        "tests": pd.DataFrame({"label": ["a", "b"], "q": [0.5, np.nan]}),
        "nested": {"more": pd.DataFrame({"x": [1.0]}), "method": "dirichlet"},
        "n_samples": 4,
        "exact": True,
        "empty": pd.DataFrame({"x": []}),
        "cautions": np.array(["four samples only"], dtype=object),
    }
    write_analysis(cohort, "tam", "crosstalk", record)
    write_analysis(cohort, "tam", "composition", {t: pd.DataFrame({"x": [1]}) for t in ("samples", "shares", "tests")})
    monkeypatch.setattr("tamannot.report._blocks.pictures_of", lambda *_, **__: [])  # of real tables only
    report = summarise(of(cohort))
    names = [s.name for s in report.sections]
    composition = report.sections[names.index("composition")]
    assert list(tables(composition)) == ["Tests", "Shares of cells as called", "Samples"]
    assert names.index("ferroptosis") < names.index("composition") < names.index("crosstalk") < names.index("evidence")
    section = report.sections[names.index("crosstalk")]
    assert section.blocks[0].points[0].text == "four samples only"
    assert set(tables(section)) == {"Tests", "Nested more"}
    assert [b.text for b in section.blocks if b.kind == "text"] == ["Empty: no rows."]
    facts = next(b.rows for b in section.blocks if b.kind == "facts")
    n = f"{cohort.n_obs:,}"
    assert facts == (("exact", "yes"), ("n cells", n), ("n samples", "4"), ("nested method", "dirichlet"))
    quote = next(b.text for b in methods(of(cohort)).blocks if b.kind == "quote")
    assert "composition (tl.composition), crosstalk with malignant cells (tl.crosstalk)" in quote


@pytest.mark.parametrize(
    ("counts", "shown"), [("called", "Shares of cells as called"), ("expected", "Expected shares")]
)
def test_a_comparison_has_the_shares_that_it_is_of_and_no_others(cohort, of, counts, shown, monkeypatch):
    monkeypatch.setattr("tamannot.report._blocks.pictures_of", lambda *_, **__: [])
    tam.tl.composition(cohort, "sample", counts=counts)
    sections = {s.name: s for s in summarise(of(cohort)).sections}
    assert list(tables(sections["composition"])) == [shown, "Samples"]


def test_cards_are_of_ordinary_cells(cohort, material, monkeypatch):
    monkeypatch.setattr("tamannot.report._analyses._MOST_CARDS", 7)
    section = evidence(material)
    pictures = [b for b in section.blocks if b.kind == "figure"]
    assert {p.title.partition(":")[0].lower() for p in pictures} == {
        pretty(s) for s in cohort.obs.loc[material.macrophages, "tam_state"].unique()
    }
    lam = next(p.title.partition("cell ")[2] for p in pictures if p.title.startswith("Lipid"))
    prob = cohort.obs.loc[cohort.obs["tam_state"] == "lipid_associated", "tam_state_prob"]
    assert (prob < prob[lam]).sum() <= len(prob) // 2 < (prob <= prob[lam]).sum()
    assert all(p.png.startswith(b"\x89PNG") for p in pictures)


def test_without_the_matrix_the_labels_stand(cohort, of):
    cohort.X = None
    sections = {s.name: s for s in summarise(of(cohort)).sections}
    assert {b.kind for b in sections["evidence"].blocks} == {"text", "table"}
    assert "Calls against marker genes" not in [b.title for b in sections["calls"].blocks if b.kind == "figure"]


def test_signatures_have_sources_unless_they_are_your_own(cohort, of):
    cohort.uns["tamannot"]["tam"]["signatures"].loc["hypoxic", "digest"] = "0" * 64
    section = signatures(of(cohort))
    table = tables(section)["Signatures"]
    by_id = dict(zip(column(table, "signature"), column(table, "sources"), strict=True))
    assert by_id["hypoxic"] == "own"
    assert "ma2022" in by_id["lipid_associated"]
    points = next(b.points for b in section.blocks if b.kind == "points")
    assert next(p.link for p in points if p.head == "ma2022:").startswith("https://doi.org/10.")


def test_methods_say_what_was_run(material, annotated, of):
    quote = next(b.text for b in methods(material).blocks if b.kind == "quote")
    assert "300 cells of 4 samples with tamannot" in quote
    assert "UCell (Andreatta & Carmona 2021" in quote
    assert "for all else, that of macrophages of 18 human tissues, Cell Profile Library" in quote
    assert "Compartments were called by the classifier trained on reference profiles" in quote
    assert "Origin was called by the difference in z between origins" in quote
    assert "State was called by the activity of signatures, and a classifier for lipid-associated" in quote
    n = int((material.cells.obs["tam_compartment"] == "macrophage").sum())
    assert f"Baselines of the states were fitted to {n} macrophages of 300 cells." in quote
    assert "Probabilities of states: empirical Bayes" in quote
    few = next(b.text for b in methods(of(annotated)).blocks if b.kind == "quote")
    assert "were fitted to 19 macrophages of 184 cells." in few
    assert "State was called by the activity of signatures, and a classifier for inflammatory." in few


@pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
def test_methods_name_the_model_that_annotated(request, of):
    cells, model = request.getfixturevalue("_tumours")[1], request.getfixturevalue("_anchored")
    annotated = tam.tl.annotate(cells, model=model, copy=True)
    quote = next(b.text for b in methods(of(annotated)).blocks if b.kind == "quote")
    assert f"Classifiers and baselines came from a model trained on {model.n_macrophages} macrophages of" in quote
    assert f"(model {model.digest[:12]})" in quote


def test_doublets_are_among_the_reasons(cohort, of):
    macrophages = np.flatnonzero(cohort.obs["tam_compartment"] == "macrophage")
    status = cohort.obs["tam_state_status"].astype(str).to_numpy()
    status[macrophages] = "mixed_lineage"
    cohort.obs["tam_state_status"] = pd.Categorical(status)
    cohort.obs["tam_state"] = pd.Categorical(np.where(status == "mixed_lineage", "unassigned", "not_macrophage"))
    assert "genes of another lineage, as in a doublet (100 %)" in words(found(of(cohort)).blocks[2].text)


def test_doubts_of_few_cells_and_low_coverage(annotated, of):
    said = doubts(of(annotated))
    assert said["Few macrophages."].startswith("There are only 19.")
    assert "interferon-primed" in said["Low coverage."]
    assert {"Samples are unknown.", "Dissociation stress."} <= set(said)


def test_no_doubt_where_there_is_no_reason(material):
    said = doubts(material)
    assert not {"Few macrophages.", "Samples are unknown.", "Low coverage.", "One sample dominates."} & set(said)


def test_doubts_of_samples(cohort, of):
    sample = np.array(["big"] * cohort.n_obs, dtype=object)
    sample[:20], sample[20:40] = "small", "tiny"
    cohort.obs.loc[cohort.obs_names[40:100], "tam_state"] = "interferon_primed"
    cohort.obs["s"] = pd.Categorical(sample)
    said = doubts(of(cohort, sample_key="s"))
    assert "small, tiny" in said["Samples with few macrophages."]
    assert "come from big" in said["One sample dominates."]
    assert "A state from one sample." in said
    cohort.obs["s"] = pd.Categorical(["one"] * cohort.n_obs)
    assert "One sample." in doubts(of(cohort, sample_key="s"))


def test_doubts_of_stress_steroids_and_mixtures(cohort, of):
    cohort.obs["tam_programs"] = pd.Categorical(["dissociation_stress+glucocorticoid_response"] * cohort.n_obs)
    cohort.obs["tam_mixed_lineage"] = np.float32(9)
    said = doubts(of(cohort))
    assert {"Dissociation stress.", "Steroids.", "Ambient RNA, doublets or phagocytosed cells."} <= set(said)


def test_doubt_where_labels_follow_depth(cohort, of):
    depth = np.asarray(cohort.X.sum(axis=1)).ravel()
    deep = depth > np.median(depth)
    cohort.obs["tam_state"] = pd.Categorical(np.where(deep, "inflammatory", "unassigned"))
    assert "a state more often" in doubts(of(cohort))["Labels depend on depth."]


def test_what_is_not_annotated_is_refused(cohort, of):
    del cohort.obs["tam_state"]
    with pytest.raises(ResultNotFoundError, match=r"tl\.annotate"):
        of(cohort)


def test_columns_that_are_not_there_are_refused(cohort, of):
    for name in ("nix", ""):
        with pytest.raises(ParameterError, match=f"No column '{name}'"):
            of(cohort, sample_key=name)
    with pytest.raises(ParameterError, match="pass sample_key"):
        of(cohort, condition="arm")
    cohort.obs["mixed"] = pd.Categorical(np.arange(cohort.n_obs) % 3)
    with pytest.raises(ParameterError, match="more than one value in sample"):
        summarise(of(cohort, sample_key="patient", condition="mixed"))


def test_few_points_are_drawn_of_many_cells(cohort, monkeypatch):
    monkeypatch.setattr("tamannot.report._material.MOST_POINTS", 40)
    monkeypatch.setattr("tamannot.report._material.MOST_MEASURED", 100)
    one, same = (Material(cohort, "x") for _ in range(2))
    assert one.points.n_obs == 40
    assert one.points.obs_names.is_unique
    assert list(one.points.obs_names) == list(same.points.obs_names)
    assert one.measured.n_obs <= 100 + (~one.macrophages).sum()
    assert (one.measured.obs["tam_compartment"] == "macrophage").sum() <= 100
