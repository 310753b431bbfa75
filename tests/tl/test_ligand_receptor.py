from __future__ import annotations

import importlib
import importlib.util

import anndata as ad
import numpy as np
import pytest

import tamannot as tam
from tamannot.analysis._ligand_receptor import pairs_of_reviews
from tamannot.errors import ParameterError, ResultNotFoundError, TamannotError
from tamannot.signature import human_genes
from tamannot.stats._correlation import spearman

MALIGNANT = ("truth_compartment", "malignant")
has_liana = pytest.mark.skipif(importlib.util.find_spec("liana") is None, reason="liana is not installed")


@pytest.fixture(scope="module")
def _cohort():
    half = {"macrophage": 0.5, "malignant": 0.5}
    adata = tam.datasets.simulate(60, n_samples=5, n_genes=2600, composition=half, rng=1)
    # a ligand of macrophages that grows from sample to sample, and its receptor in malignant cells
    genes, rows = list(adata.var_names), adata.X.tolil()
    for ligand, kind in (("CSF1R", "macrophage"), ("CSF1", "malignant")):
        if ligand not in genes:
            genes[-1 if ligand == "CSF1" else -2] = ligand
        cells = (adata.obs["truth_compartment"] == kind).to_numpy()
        amount = 1 + adata.obs["sample"].cat.codes.to_numpy()
        rows[cells, genes.index(ligand)] = amount[cells, None] * 3.0
    adata.var_names, adata.X = genes, rows.tocsr()
    adata.obs["order"] = adata.obs["sample"].cat.codes.astype(float)
    tam.tl.annotate(adata, tissue="brain")
    return adata


@pytest.fixture
def cohort(_cohort):
    return _cohort.copy()


def test_every_pair_has_a_reference_and_known_ends():
    pairs = pairs_of_reviews()
    ends = {"malignant", *tam.load_signatures(axis="compartment")}
    assert set(pairs["source"]) | set(pairs["target"]) <= ends
    assert pairs.notna().all(axis=None)
    assert pairs["reference"].str.startswith("10.").all()
    assert not pairs.duplicated(["ligand", "receptor", "source", "target"]).any()
    both = pairs[pairs["ligand"] == "MDK"]
    assert set(both["source"]) == {"macrophage", "malignant"}


def test_iron_selenium_checkpoint_and_adhesion_are_among_the_pairs():
    pairs = pairs_of_reviews()
    have = set(zip(pairs["ligand"], pairs["receptor"], strict=True))
    wanted = """FTH1 TFRC, LCN2 SLC22A17, HAMP SLC40A1, SELENOP LRP8, SPP1 ITGAV_ITGB3, PDCD1LG2 PDCD1, EFNA1 EPHA2,
        ICAM1 ITGAL_ITGB2, VCAM1 ITGA4_ITGB1, CCL22 CCR4, ANXA1 FPR1, MDK CD74, IFNG IFNGR1_IFNGR2"""
    assert {tuple(pair.split()) for pair in wanted.split(",")} <= have
    assert {gene for pair in have for name in pair for gene in name.split("_")} <= set(human_genes().ensembl)


def test_without_liana_the_error_has_the_line_that_installs_it(cohort, monkeypatch):
    real = importlib.import_module

    def absent(name):
        if name == "liana":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(TamannotError, match=r"pip install 'tamannot\[crosstalk\]'"):
        tam.tl.ligand_receptor(cohort, "sample", malignant=MALIGNANT)


@has_liana
def test_scores_are_means_of_each_sample_and_p_permutes_samples(cohort, tmp_path):
    tam.tl.ligand_receptor(cohort, "sample", malignant=MALIGNANT, against="order")
    record = cohort.uns["tamannot"]["tam"]["ligand_receptor"]
    found = record["samples"].query("ligand == 'CSF1'").sort_values("sample")
    log = np.log1p(1e4 * cohort.to_df().div(np.asarray(cohort.X.sum(axis=1)).ravel(), axis=0))
    kind = (
        cohort.obs["truth_compartment"]
        .astype(str)
        .where(cohort.obs["truth_compartment"] == "malignant", cohort.obs["tam_compartment"].astype(str))
    )
    means = log[["CSF1", "CSF1R"]].groupby([cohort.obs["sample"], kind], observed=True).mean()
    ligand = means["CSF1"].xs("malignant", level=1).to_numpy()
    receptor = means["CSF1R"].xs("macrophage", level=1).to_numpy()
    assert found["ligand_mean"].to_numpy() == pytest.approx(ligand, rel=1e-4)
    assert found["score"].to_numpy() == pytest.approx((ligand + receptor) / 2, rel=1e-4)
    pair = record["pairs"].loc["CSF1 CSF1R malignant macrophage"]
    assert pair["n_samples"] == pair["n_detected"] == 5
    expected = spearman(found["score"].to_numpy(), np.arange(5.0))
    assert (pair["rho"], pair["p"]) == pytest.approx((expected.rho, expected.p))
    assert record["pairs"]["q"].isna().all()  # five samples cannot support so many
    cohort.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad").uns["tamannot"]["tam"]["ligand_receptor"]
    assert back["pairs"]["claim"].tolist() == record["pairs"]["claim"].tolist()


@has_liana
def test_crosstalk_asks_for_it(cohort):
    tam.tl.crosstalk(cohort, "sample", malignant=MALIGNANT, min_cells=10, n_bootstrap=10, ligand_receptor=True)
    record = cohort.uns["tamannot"]["tam"]["ligand_receptor"]
    assert record["parameters"]["against"] == "malignant_ferroptosis_defence"


@has_liana
def test_what_is_refused(cohort):
    for wrong, message in (
        ({"against": "sample"}, "5 words"),
        ({"against": "malignant_ferroptosis_defence"}, "which has not run"),
        ({"min_cells": 5000}, "No sample has 5000 cells"),
        ({"malignant": None}, "never inferred"),
    ):
        with pytest.raises(ParameterError, match=message):
            tam.tl.ligand_receptor(cohort, "sample", **{"malignant": MALIGNANT} | wrong)
    with pytest.raises(ResultNotFoundError):
        tam.tl.ligand_receptor(cohort, "sample", malignant=MALIGNANT, key="other")
