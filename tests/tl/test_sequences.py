"""Calls in any order leave an object that everything can read, or that says what to do."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import TamannotError
from tamannot.report import summarise
from tamannot.report._material import material_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

AXES = ("compartment", "origin", "state")
_STATES = tam.load_signatures(axis="state")
_MINE = {"mine": ["CD68", "SPP1", "APOE", "FTL", "CD3E-"], "lipid_associated": ["APOE", "SPP1"]}


def made() -> ad.AnnData:
    parts = {"macrophage": 0.7, "t_nk": 0.15, "glial_like": 0.15}
    adata = tam.datasets.simulate(16, n_samples=4, n_genes=700, composition=parts, rng=3)
    adata.layers["log"] = adata.X.copy()
    adata.layers["log"].data = np.log1p(adata.layers["log"].data)
    adata.obsm["spatial"] = np.random.default_rng(0).uniform(0, 1, (adata.n_obs, 2))
    adata.obsm["X_umap"] = adata.obsm["spatial"]
    adata.obs["margin"] = adata.obsm["spatial"][:, 0]
    adata.obs["cluster"] = pd.Categorical(np.where(adata.obs["margin"] > 0.5, "a", "b"))
    adata.obs["tumour"] = (adata.obs["truth_compartment"] == "glial_like").to_numpy()
    n = adata.n_obs
    graph = np.zeros((n, n))
    graph[np.arange(n), (np.arange(n) + 1) % n] = 1.0
    adata.obsp["distances"] = sp.csr_matrix(graph)
    adata.uns["neighbors"] = {"distances_key": "distances"}
    return adata


def _joined(adata: ad.AnnData, how: str | None) -> ad.AnnData:
    halves = [adata[::2].copy(), adata[1::2].copy()]
    if how == "tamannot":
        return tam.concat(halves, label="half")
    return ad.concat(halves, uns_merge=how, merge="same")


def _predict(adata: ad.AnnData) -> None:
    model = tam.tl.train(adata, "truth_compartment", n_genes=200)
    model.predict(adata, key_added="tam")


# In place, and return None; or return the object that takes its place.
CALLS = {
    "annotate": lambda a: tam.tl.annotate(a, tissue="brain", sample_key="sample"),
    "annotate the layer": lambda a: tam.tl.annotate(a, layer="log"),
    "gate": tam.tl.gate,
    "gate the layer": lambda a: tam.tl.gate(a, layer="log"),
    "classify_origin": lambda a: tam.tl.classify_origin(a, tissue="brain"),
    "classify_state": tam.tl.classify_state,
    "classify_state by own types": lambda a: tam.tl.classify_state(a, compartment_key="truth_compartment"),
    "ferroptosis": tam.tl.ferroptosis,
    "score states": lambda a: tam.tl.score(a, _STATES),
    "score states by aucell": lambda a: tam.tl.score(a, _STATES, method="aucell", min_coverage=0),
    "score states with a null": lambda a: tam.tl.score(a, _STATES, null="matched"),
    "score mine": lambda a: tam.tl.score(a, _MINE, min_coverage=0),
    "score mine with a null": lambda a: tam.tl.score(a, {"mine": _MINE["mine"]}, null="matched", min_coverage=0),
    "smooth": tam.tl.smooth,
    "smooth z": lambda a: tam.tl.smooth(a, kind="z"),
    "vote": lambda a: tam.tl.vote(a, "cluster"),
    "vote of neighbours": tam.tl.vote,
    "composition": lambda a: tam.tl.composition(a, "sample", condition="condition", min_cells=2),
    "composition of origins": lambda a: tam.tl.composition(a, "sample", axis="origin"),
    "enrich": lambda a: tam.tl.enrich(a, "cluster", signatures="state", n_permutations=20, method="permutation"),
    "enrich states": lambda a: tam.tl.enrich(a, "tam_state", n_permutations=20, method="permutation"),
    "ferroptosis_summary": lambda a: tam.tl.ferroptosis_summary(a, "sample", min_cells=2),
    "ferroptosis_summary of both": lambda a: tam.tl.ferroptosis_summary(a, "sample", groupby=["origin", "state"]),
    "claims": lambda a: tam.tl.claims(a, "sample", min_cells=4),
    "crosstalk": lambda a: tam.tl.crosstalk(a, "sample", malignant="tumour", min_cells=1, n_bootstrap=5),
    "regions": lambda a: tam.tl.regions(a, distance="margin", sample_key="sample"),
    "predict": _predict,
    "a part": lambda a: a[a.obs["margin"] < 0.9].copy(),
    "joined": lambda a: _joined(a, "tamannot"),
    "joined by anndata": lambda a: _joined(a, None),
    "joined, the first": lambda a: _joined(a, "first"),
    "joined, the same": lambda a: _joined(a, "same"),
}
_TABLES = {
    "composition": [{"table": t} for t in ("tests", "shares", "samples")] + [{"table": "shares", "axis": "origin"}],
    "enrichment": [{"kind": k} for k in ("signatures", "clusters")],
    "ferroptosis": [{"kind": k} for k in ("samples", "effects", "genes")],
    "claims": [{"kind": k} for k in ("claims", "detection")],
    "crosstalk": [{"kind": k} for k in ("tests", "samples")],
    "regions": [{"kind": k} for k in ("tests", "samples")],
    "scores": [{"kind": k} for k in ("score", "z", "p", "q", "smooth")],
    "coverage": [{}],
    "annotations": [{}],
    "score_adata": [{}],
}
_PICTURES = (
    *("states", "origins", "markers", "scores", "coverage", "polarization", "composition", "composition_tests"),
    *("state_by_origin", "ferroptosis", "enrichment", "crosstalk"),
)


def said(error: TamannotError) -> None:
    """A refusal is a sentence, not a name."""
    assert len(str(error)) > 20


def read_everything(adata: ad.AnnData) -> list[str]:
    """Read all that can be read; return what worked."""
    reads = {f"get.{n} {c}": lambda n=n, c=c: getattr(tam.get, n)(adata, **c) for n, cs in _TABLES.items() for c in cs}
    reads |= {f"pl.{n}": lambda n=n: getattr(tam.pl, n)(adata) for n in _PICTURES}
    cell = adata.n_obs // 2
    reads |= {
        "get.evidence": lambda: tam.get.evidence(adata, cell),
        "get.contributions": lambda: tam.get.contributions(adata, cell),
        "pl.evidence": lambda: tam.pl.evidence(adata, cell),
        "write_report": lambda: summarise(material_of(adata, name="cells")),
    }
    worked = []
    for name, read in reads.items():
        try:
            read()
        except TamannotError as error:
            said(error)
        else:
            worked.append(name)
        finally:
            plt.close("all")
    return worked


def check_agreement(adata: ad.AnnData) -> None:
    """Labels of one key are of one run: they agree on the macrophages, and have no categories without cells."""
    here = [axis for axis in AXES if f"tam_{axis}" in adata.obs]
    masks = {}
    for axis in here:
        label = adata.obs[f"tam_{axis}"]
        masks[axis] = label == "macrophage" if axis == "compartment" else ~label.isin(["not_macrophage"])
        assert set(label.cat.categories) == set(label.dropna()), axis
        colors = adata.uns.get(f"tam_{axis}_colors")
        assert colors is None or len(colors) == len(label.cat.categories), axis
    for axis in here[1:]:
        np.testing.assert_array_equal(masks[axis], masks[here[0]], err_msg=f"{here[0]} and {axis}")


@pytest.mark.parametrize(
    ("seed", "n"), [(0, 2), *(pytest.param(seed, 10, marks=pytest.mark.nightly) for seed in range(200))]
)
def test_calls_in_any_order(seed, n, without_pictures):
    rng = np.random.default_rng(seed)
    adata = made()
    if rng.random() < 0.7:
        tam.tl.annotate(adata, tissue="brain")
    done = []
    for name in rng.choice(list(CALLS), n):
        if adata.n_obs < 20:
            break
        done.append(str(name))
        try:
            result = CALLS[name](adata)
        except TamannotError as error:
            said(error)
            result = None
        adata = result if isinstance(result, ad.AnnData) else adata
        read_everything(adata)
        if not any(n.startswith("joined") for n in done):  # anndata makes categories and colours of its own
            check_agreement(adata)


def test_the_first_three_lines_of_the_contract(tmp_path, without_pictures):
    adata = tam.datasets.oligodendroglioma()
    tam.tl.annotate(adata)
    labels = tam.get.annotations(adata)
    tam.tl.score(adata, tam.load_signatures(axis="state"))
    tam.pl.states(adata)
    tam.write_report(adata, tmp_path / "report.html")
    pd.testing.assert_frame_equal(tam.get.annotations(adata), labels)
    assert {"get.evidence", "get.contributions", "pl.evidence", "pl.scores", "write_report"} <= set(
        read_everything(adata)
    )


def test_scores_are_added_to_an_annotation():
    adata = made()
    tam.tl.annotate(adata, tissue="brain")
    before = {kind: tam.get.scores(adata, kind=kind) for kind in ("score", "z", "p")}
    evidence = tam.get.evidence(adata, 5)
    tam.tl.score(adata, {"mine": _MINE["mine"]}, null="matched", min_coverage=0)
    for kind, table in before.items():
        now = tam.get.scores(adata, kind=kind)
        assert list(now.columns) == [*table.columns, "mine"]
        pd.testing.assert_frame_equal(now[table.columns], table)
    assert tam.get.coverage(adata).index[-1] == "mine"
    pd.testing.assert_frame_equal(tam.get.evidence(adata, 5).drop("mine"), evidence)
    tam.tl.score(adata, _STATES, method="aucell", min_coverage=0)
    alone = made()
    tam.tl.score(alone, _STATES, method="aucell", min_coverage=0)
    pd.testing.assert_frame_equal(tam.get.scores(adata)[list(_STATES)], tam.get.scores(alone)[list(_STATES)])
    pd.testing.assert_frame_equal(tam.get.scores(adata, kind="z")[list(_STATES)], before["z"][list(_STATES)])


def test_evidence_of_labels_is_not_replaced():
    adata = made()
    tam.tl.annotate(adata, tissue="brain")
    with pytest.raises(TamannotError, match=r"were called from the z and p of .* key_added="):
        tam.tl.score(adata, _STATES, null="matched")


def test_a_step_of_another_matrix_removes_the_labels_that_contradict_it():
    adata = made()
    tam.tl.annotate(adata, tissue="brain")
    tam.tl.composition(adata, "sample")
    adata.layers["shuffled"] = adata.X[np.random.default_rng(0).permutation(adata.n_obs)]
    tam.tl.gate(adata, layer="shuffled")
    assert "tam_compartment" in adata.obs
    assert not {"tam_state", "tam_origin", "tam_programs", "tam_ferroptosis_drive"} & set(adata.obs)
    assert not {"tam_state_proba", "tam_origin_proba", "tam_ferroptosis"} & set(adata.obsm)
    assert "tam_state_colors" not in adata.uns
    with pytest.raises(TamannotError, match="Run tamannot"):
        tam.get.composition(adata)


def test_a_step_that_agrees_keeps_the_others_and_their_analyses():
    adata = made()
    tam.tl.annotate(adata, tissue="brain")
    tam.tl.composition(adata, "sample")
    before = tam.get.annotations(adata)
    tam.tl.gate(adata)
    pd.testing.assert_frame_equal(tam.get.annotations(adata)[before.columns], before)
    assert len(tam.get.composition(adata, table="shares"))


def test_analyses_of_several_axes_stand_side_by_side(tmp_path, without_pictures):
    adata = made()
    tam.tl.annotate(adata, tissue="brain")
    tam.tl.composition(adata, "sample", axis="state")
    states = tam.get.composition(adata, table="shares")
    tam.tl.composition(adata, "sample", axis="origin")
    adata.write_h5ad(tmp_path / "a.h5ad")
    for object_ in (adata, ad.read_h5ad(tmp_path / "a.h5ad")):
        latest = tam.get.composition(object_, table="shares")
        assert set(latest["label"]) >= {"microglia"}
        pd.testing.assert_frame_equal(tam.get.composition(object_, table="shares", axis="state"), states)
        with pytest.raises(TamannotError, match=r"no results 'composition' of 'compartment'.*origin"):
            tam.get.composition(object_, axis="compartment")
    titles = [s.title for s in summarise(material_of(adata, name="cells")).sections]
    assert sum(t.startswith("Composition") for t in titles) == 2
