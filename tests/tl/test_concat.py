"""Objects that were annotated apart and joined, by anndata or by tamannot."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError, TamannotError
from tamannot.report import summarise
from tamannot.report._material import material_of

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

COMPOSITION = {"macrophage": 0.7, "t_nk": 0.15, "glial_like": 0.15}


@pytest.fixture(autouse=True)
def closed_figures(monkeypatch):
    monkeypatch.setattr("tamannot.report._embedding.computed", lambda *_: None)  # it takes seconds
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def parts() -> list[ad.AnnData]:
    whole = tam.datasets.simulate(60, n_samples=3, n_genes=1000, composition=COMPOSITION, rng=1)
    parts = [whole[whole.obs["sample"] == s].copy() for s in whole.obs["sample"].unique()]
    for part in parts:
        tam.tl.annotate(part, tissue="brain")
    return parts


@pytest.fixture
def joined(parts) -> ad.AnnData:
    return tam.concat(parts)


# What a run needs of its record, which is where the ways differ, is tested below for each.
@pytest.mark.parametrize(
    "merge", [None, "first", *(pytest.param(m, marks=pytest.mark.nightly) for m in ("same", "unique", "only"))]
)
def test_what_anndata_joined_is_compared_drawn_and_reported(parts, merge, tmp_path, quick_pictures):
    both = ad.concat(parts, uns_merge=merge, index_unique="-")
    tam.tl.composition(both, "sample")
    tam.tl.composition(both, "sample", axis="origin")
    shares = tam.get.composition(both, table="shares", axis="state")
    here = both.obs["tam_state"] != "not_macrophage"
    called = pd.crosstab(both.obs["sample"][here], both.obs["tam_state"][here])
    for row in shares.itertuples():
        assert row.n_cells == (called.loc[row.sample, row.label] if row.label in called else 0)
    tam.tl.enrich(both, "tam_state", method="permutation", n_permutations=20)
    tam.tl.vote(both, "sample")
    tam.tl.score(both, {"mine": ["APOE", "SPP1"]}, min_coverage=0)
    assert tam.get.scores(both)["mine"].notna().all()
    for draw in (tam.pl.states, tam.pl.origins, tam.pl.composition, tam.pl.state_by_origin, tam.pl.enrichment):
        draw(both)
    tam.write_report(both, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert f"{int(here.sum()):,}" in text
    over = both.obs["tam_programs"].astype(str).str.contains("|".join(tam.load_signatures(axis="overlay")))
    assert ("None of the programs that can accompany any state" in text) == (not over[here].any())
    both.write_h5ad(tmp_path / "a.h5ad")
    back = tam.get.composition(ad.read_h5ad(tmp_path / "a.h5ad"), table="shares", axis="state")
    pd.testing.assert_frame_equal(back, shares, check_dtype=False)


@pytest.mark.parametrize("merge", [None, "same", "unique", "first", "only"])
def test_what_needs_the_run_says_how_to_join(parts, merge):
    both = ad.concat(parts, uns_merge=merge, index_unique="-")
    for read in (tam.get.coverage, lambda a: tam.get.evidence(a, 0), lambda a: tam.tl.claims(a, "sample")):
        with pytest.raises(ResultNotFoundError, match=r"tamannot\.concat"):
            read(both)
    if merge == "first":
        with pytest.raises(ResultNotFoundError, match="of a run of 60 cells, and the object has 180"):
            tam.get.coverage(both)


def test_everything_of_the_parts_is_kept(parts, joined):
    for number, part in enumerate(parts):
        mine = (joined.obs["sample"] == part.obs["sample"].iloc[0]).to_numpy()
        for kind in ("score", "z", "p"):
            got = tam.get.scores(joined[mine], kind=kind)
            np.testing.assert_array_equal(got.to_numpy(), tam.get.scores(part, kind=kind).to_numpy())
        row = int(np.flatnonzero(mine)[7])
        evidence = tam.get.evidence(joined, row)
        pd.testing.assert_frame_equal(evidence, tam.get.evidence(part, 7))
        assert evidence["n_detected"].notna().all(), number
        pd.testing.assert_frame_equal(
            tam.get.contributions(joined, row, axis="state"), tam.get.contributions(part, 7, axis="state")
        )
    lowest = np.minimum.reduce([tam.get.coverage(p)["coverage"].to_numpy() for p in parts])
    np.testing.assert_array_equal(tam.get.coverage(joined)["coverage"], lowest)


def test_categories_keep_their_order_and_colours(joined):
    for axis, last in (("state", "not_macrophage"), ("origin", "not_macrophage"), ("compartment", "unassigned")):
        categories = list(joined.obs[f"tam_{axis}"].cat.categories)
        assert set(categories) == set(joined.obs[f"tam_{axis}"])
        assert categories[-1] == last or last not in categories
    order = ["lipid_associated", "interferon_primed", "pro_angiogenic", "inflammatory", "immunoregulatory"]
    states = [c for c in joined.obs["tam_state"].cat.categories if c in order]
    assert states == [c for c in order if c in states]
    assert len(joined.uns["tam_state_colors"]) == len(joined.obs["tam_state"].cat.categories)


def test_analyses_and_pictures_work_on_the_whole(joined, tmp_path, quick_pictures):
    tam.tl.ferroptosis_summary(joined, "sample", min_cells=2)
    tam.tl.claims(joined, "sample", min_cells=4)
    assert {"sample", "z"} <= set(tam.get.ferroptosis(joined).columns)
    for draw in (tam.pl.markers, tam.pl.scores, tam.pl.coverage, tam.pl.polarization, tam.pl.ferroptosis):
        draw(joined)
    tam.pl.evidence(joined, int(np.flatnonzero(joined.obs["tam_state_status"] == "assigned")[0]))
    names = {s.name for s in summarise(material_of(joined, name="cells")).sections}
    assert {"methods", "signatures", "evidence"} <= names
    joined.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(tam.get.evidence(back, 9), tam.get.evidence(joined, 9), check_dtype=False)


def test_samples_with_other_genes_keep_their_labels_and_say_where_evidence_is(parts):
    fewer = [parts[0], parts[1][:, : parts[1].n_vars - 5].copy()]
    tam.tl.annotate(fewer[1], tissue="brain")
    both = tam.concat(fewer)
    assert both.n_vars == parts[0].n_vars - 5
    tam.pl.markers(both)
    with pytest.raises(TamannotError, match=r"is of sample 's01', whose run used other genes.*from the object of that"):
        tam.get.contributions(both, 0)
    tam.get.contributions(both, both.n_obs - 1)
    assert tam.get.evidence(both, 0)["n_detected"].isna().all()
    with pytest.raises(TamannotError, match=r"differs between the runs.*obs\['sample'\]"):
        tam.get.contributions(both, label="microglia")


def test_names_of_samples(parts):
    unnamed = [p.copy() for p in parts[:2]]
    for part in unnamed:
        del part.obs["sample"]
    assert tam.concat(unnamed).obs["sample"].unique().tolist() == ["0", "1"]
    assert tam.concat(unnamed, keys=["x", "y"]).obs["sample"].unique().tolist() == ["x", "y"]
    named = tam.concat({"a/b": unnamed[0], "c": unnamed[1]}, label="donor")
    assert named.obs["donor"].unique().tolist() == ["a/b", "c"]
    assert tam.get.evidence(named, 0)["n_detected"].notna().all()
    assert named.obs_names.is_unique


def test_what_cannot_be_joined_is_refused(parts, joined, tmp_path):
    with pytest.raises(ParameterError, match="concat needs two or more objects, not 1"):
        tam.concat(parts[:1])
    with pytest.raises(ParameterError, match="3 objects need as many distinct names"):
        tam.concat(parts, keys=["a", "a", "b"])
    with pytest.raises(ParameterError, match="is already the result of a concat"):
        tam.concat({"a": joined, "b": parts[0]})
    bare = tam.datasets.oligodendroglioma()
    bare.filename = tmp_path / "bare.h5ad"
    with pytest.raises(ParameterError, match=r"Object 'b' is backed by .*Load it first: to_memory\(\)"):
        tam.concat({"a": parts[0], "b": bare})
    bare = bare.to_memory()
    with pytest.raises(ResultNotFoundError, match=r"No results under the key 'tam'|has no annotation under the key"):
        tam.concat({"a": parts[0], "b": bare})


def test_annotating_the_whole_replaces_what_the_parts_had(joined):
    tam.tl.annotate(joined, tissue="brain")
    assert "joined" not in joined.uns["tamannot"]["tam"]
    assert tam.get.contributions(joined, label="microglia", axis="origin").size
