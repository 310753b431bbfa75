"""Each rule of ``docs/howto/panels.md``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import tamannot as tam

STATE = "lipid_associated"
# States and origins do not depend on how macrophages were found: a classifier of them takes a second for each panel.
KNOWN = {"tissue": "brain", "compartment_key": ("truth_compartment", {"macrophage": "macrophage"})}


def genes_of(*ids: str) -> set[str]:
    """Return the genes of signatures."""
    return {g.symbol for i in ids for g in tam.load_signature(i).all_genes}


@pytest.fixture(scope="module")
def whole() -> ad.AnnData:
    return tam.datasets.simulate(300, n_samples=2, n_genes=3000, rng=0)


def panel(whole: ad.AnnData, n: int) -> ad.AnnData:
    """Return the data with so many genes of a state, annotated."""
    mine = sorted(genes_of(STATE))
    kept = whole[:, [g for g in whole.var_names if g not in mine[n:]]].copy()
    with pytest.warns(tam.errors.TamannotWarning):  # some genes of other signatures are not simulated
        tam.tl.annotate(kept, **KNOWN)
    return kept


@pytest.fixture(scope="module")
def below(whole: ad.AnnData) -> ad.AnnData:
    return panel(whole, (len(genes_of(STATE)) - 1) // 2)


def test_a_state_with_half_of_its_genes_is_called(whole: ad.AnnData) -> None:
    half = panel(whole, -(-len(genes_of(STATE)) // 2))
    assert tam.get.coverage(half).loc[STATE, "coverage"] >= 0.5
    assert (half.obs["tam_state"] == STATE).any()


def test_a_state_with_fewer_is_never_called_and_the_status_says_so(below: ad.AnnData) -> None:
    assert tam.get.coverage(below).loc[STATE, "coverage"] < 0.5
    assert not (below.obs["tam_state"] == STATE).any()
    status = below.obs.loc[below.obs["tam_state"] == "unassigned", "tam_state_status"]
    assert (status == "low_coverage").any()
    assert not (status == "low_signal").any()


def test_the_missing_genes_are_named_in_the_record(below: ad.AnnData) -> None:
    assert any(STATE in text for text in below.uns["tamannot"]["tam"]["warnings"])


def test_a_warning_names_missing_genes(whole: ad.AnnData) -> None:
    mine = sorted(genes_of(STATE))
    lacking = whole[:, [g for g in whole.var_names if g not in mine[len(mine) // 2 :]]].copy()
    with pytest.warns(tam.errors.CoverageWarning, match=f"genes of {STATE}"):
        tam.tl.score(lacking, STATE, min_coverage=0)


def test_fewer_than_twenty_genes_of_the_classifier_give_no_compartment(whole: ad.AnnData) -> None:
    few = whole[:, whole.var_names[:15]].copy()
    with pytest.warns(tam.errors.TamannotWarning):
        tam.tl.annotate(few, tissue="brain")
    assert (few.obs["tam_compartment"] == "unassigned").all()
    assert (few.obs["tam_compartment_status"] == "low_coverage").all()


def test_an_origin_needs_three_genes_of_its_own(whole: ad.AnnData) -> None:
    lacking = whole[:, [g for g in whole.var_names if g not in genes_of("microglia")]].copy()
    tam.tl.annotate(lacking, **KNOWN)
    assert tam.get.coverage(lacking).loc["microglia", "coverage"] == 0
    assert any("genes of microglia" in text for text in lacking.uns["tamannot"]["tam"]["warnings"])
    assert (lacking.obs["tam_origin"] == "monocyte_derived").any()
    assert not (lacking.obs["tam_origin"] == "microglia").any()


def test_p_needs_five_genes_in_the_data_and_two_expected_in_the_cell(whole: ad.AnnData) -> None:
    mine = [g for g in whole.var_names if g in genes_of("macrophage_tam", STATE)]
    shown = np.asarray((whole[:, mine].X > 0).mean(axis=0)).ravel()
    often = [mine[i] for i in np.argsort(-shown)]
    rare = [g for g, n in zip(whole.var_names, np.asarray((whole.X > 0).mean(axis=0)).ravel(), strict=True) if n < 0.05]
    sets = {"four": often[:4], "many": often[:12], "rare": rare[:6]}
    tam.tl.score(whole, sets, null="matched", key_added="p")
    p = tam.get.scores(whole, "p", kind="p")
    assert p["four"].isna().all()
    assert p["many"].notna().any()
    assert p["rare"].isna().all()


def test_scores_below_min_coverage_are_nan(whole: ad.AnnData) -> None:
    present = list(whole.var_names[:3])
    sets = {"below": [*present[:1], "absent1", "absent2"], "half": [*present[:2], "absent1", "absent2"]}
    with pytest.warns(tam.errors.CoverageWarning):
        tam.tl.score(whole, sets, key_added="least")
    scores = tam.get.scores(whole, "least")
    assert scores["below"].isna().all()
    assert scores["half"].notna().all()


def test_known_cell_types_are_taken(whole: ad.AnnData) -> None:
    known = whole.copy()
    is_mine = known.obs["truth_compartment"].astype(str) == "macrophage"
    known.obs["cell_type"] = np.where(is_mine, "TAM", "else")
    tam.tl.annotate(known, tissue="brain", compartment_key=("cell_type", {"TAM": "macrophage"}))
    assert ((known.obs["tam_compartment"] == "macrophage") == is_mine).all()


def test_the_check_says_it_before_anything_is_computed(
    whole: ad.AnnData, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    file = tmp_path / "panel.h5ad"
    whole[:, [g for g in whole.var_names if g not in genes_of(STATE)]].copy().write_h5ad(file)
    code, out, _ = run("check", str(file))
    assert code == 0
    assert any(line.split()[0] == STATE and "0%" in line for line in out.splitlines() if line.strip())
