"""Counts drawn gene by gene, so that what is planted is known; a run written by hand."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
import tamannot.data as slots
from tamannot.analysis._claims import read_claims
from tamannot.errors import InputFileError, ParameterError, ResultNotFoundError

HYPOXIC = ["ADM", "BNIP3", "NDRG1", "HILPDA", "VEGFA", "SLC2A1"]
LIPID = ["APOC1", "CD9", "CTSD", "GPNMB", "LGALS3", "SPP1"]
GENES = [*HYPOXIC, *LIPID, "CD274", "CX3CR1", "VSIR", "IL10", "CXCL9", "PDCD1", "CCL2", *(f"ZZ{i}" for i in range(80))]
HEADER = "claim_id\tclaim\tsource\tkind\ta\tcells\tb\tagainst\texpected\tnote\n"


def make(n_samples: int = 6, n_cells: int = 120, seed: int = 0) -> ad.AnnData:
    """PD-L1 goes with hypoxia, and is more often in monocyte-derived cells; lipid genes go with nothing."""
    rng = np.random.default_rng(seed)
    n = n_samples * n_cells
    sample = np.repeat([f"s{i}" for i in range(n_samples)], n_cells)
    kind = rng.choice(["microglia", "monocyte_derived", "t_nk", "tumour"], n, p=[0.4, 0.4, 0.1, 0.1])
    macrophage = np.isin(kind, ["microglia", "monocyte_derived"])
    depth = np.exp(0.4 * rng.normal(size=n)) * np.where(kind == "microglia", 1.6, 1.0)
    level = pd.DataFrame(0.8, index=range(n), columns=GENES)
    hypoxia = rng.normal(size=n)
    level[HYPOXIC] = level[HYPOXIC].mul(np.exp(0.8 * hypoxia), axis=0)
    level["CD274"] = 0.4 * np.exp(0.7 * hypoxia) * np.where(kind == "monocyte_derived", 2.5, 1.0)
    level["CX3CR1"] = 0.8 * np.exp(rng.normal(size=n_samples))[np.repeat(np.arange(n_samples), n_cells)]
    level["IL10"] = 0.001
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(level.to_numpy() * depth[:, None]).astype(np.float32)))
    adata.var_names = GENES
    adata.obs_names = [f"c{i}" for i in range(n)]
    adata.obs["sample"] = sample
    adata.obs["tumour"] = kind == "tumour"
    adata.obs["tam_compartment"] = pd.Categorical(
        np.where(macrophage, "macrophage", np.where(kind == "t_nk", "t_nk", "x"))
    )
    adata.obs["tam_origin"] = pd.Categorical(np.where(macrophage, kind, "not_macrophage"))
    state = np.where(hypoxia > 0.5, "lipid_associated", "inflammatory")
    adata.obs["tam_state"] = pd.Categorical(np.where(macrophage, state, "not_macrophage"))
    record = {
        "matrix": {"name": "X", "kind": "counts", "gene_ids": "var_names", "species": "human"}
        | {"n_obs": adata.n_obs, "n_vars": adata.n_vars},
        "null_reference": {"gene_ids": np.array(GENES, dtype=object)},
    }
    slots.write_record(adata, "tam", record)
    return adata


@pytest.fixture(scope="module")
def tested() -> ad.AnnData:
    adata = make()
    adata.obs["primary"] = adata.obs["sample"].map(dict.fromkeys(["s0", "s1", "s2"], "Breast")).fillna("NSCLC")
    tam.tl.claims(adata, "sample", malignant="tumour", primary=("primary", {"NSCLC": "lung"}), min_cells=8)
    return adata


@pytest.fixture
def table(tested) -> pd.DataFrame:
    return tam.get.claims(tested).set_index("claim_id")


def own(tmp_path, *rows: str):
    path = tmp_path / "own.tsv"
    path.write_text(HEADER + "".join("\t".join(row.split("|")) + "\n" for row in rows))
    return path


def test_planted_correlation_is_supported_and_its_absence_is_not(table):
    assert table.loc["79c", "verdict"] == "supported"  # hypoxia with PD-L1
    assert table.loc["79c", "observed"] > 0.2
    assert table.loc["79a", "verdict"] == "inconclusive"  # lipid genes go with nothing
    assert abs(table.loc["79a", "observed"]) < 0.1


def test_pd_l1_is_on_monocyte_derived_although_microglia_are_deeper(table):
    row = table.loc["52a"]
    assert row["verdict"] == "supported"
    assert 0.1 < row["low"] < row["observed"] < row["high"]
    assert table.loc["34a", "verdict"] == "not measurable"  # IL10 is in next to no cell


def test_deeper_cells_have_no_gene_more_often(tmp_path):
    adata = make()
    tam.tl.claims(adata, "sample", table=own(tmp_path, "d|x|y|difference|VSIR|microglia||monocyte_derived|positive|"))
    row = tam.get.claims(adata).iloc[0]
    micro = adata.obs["tam_origin"] == "microglia"
    mono = adata.obs["tam_origin"] == "monocyte_derived"
    raw = (adata[micro, "VSIR"].X > 0).mean() - (adata[mono, "VSIR"].X > 0).mean()
    assert raw > 0.08
    assert abs(row["observed"]) < raw / 3  # the number of genes detected is a noisy depth where few genes are measured


def test_opposite_direction_is_not_supported(tmp_path):
    adata = make()
    rows = own(
        tmp_path,
        "a|x|y|within|@hypoxic|macrophage|CD274||negative|",
        "b|x|y|share|share:microglia|macrophage|||0.8-0.9|",
    )
    tam.tl.claims(adata, "sample", table=rows)
    assert tam.get.claims(adata)["verdict"].tolist() == ["not supported", "not supported"]


def test_mouse_genes_by_the_same_letters():
    adata = make()
    adata.var_names = [g.capitalize() for g in GENES]
    record = dict(adata.uns["tamannot"]["tam"])
    record["matrix"]["species"] = "mouse"
    record["null_reference"] = {"gene_ids": np.array(adata.var_names, dtype=object)}
    slots.write_record(adata, "tam", record)
    tam.tl.claims(adata, "sample")
    found = tam.get.claims(adata).set_index("claim_id")
    assert found.loc["79c", "verdict"] == "supported"
    assert found.loc["52a", "verdict"] == "supported"


def test_every_claim_has_a_row_and_a_reason_where_it_cannot_be_measured(table):
    assert {int("".join(c for c in i if c.isdigit())) for i in table.index if i != "bill2023"} == set(range(1, 105))
    silent = table[table["verdict"].isin(["not measurable", "inconclusive"]) & table["low"].isna()]
    assert (silent["reason"] != "").all()
    assert table.loc["33", "reason"] == "the RNA of cells does not show exosomes"
    assert table.loc["28", "reason"] == "ARG1 not in the data"
    assert table.loc["34a", "reason"] == "IL10 detected in fewer than 1% of the cells"
    assert table.loc["9", "reason"] == "needs the site of each sample; pass site="
    assert table.loc["26", "verdict"] == "not measurable"


def test_verdicts_are_intervals_against_the_expectation(table):
    signed = table[table["expected"].isin(["positive", "negative"]) & table["low"].notna()]
    sign = np.where(signed["expected"] == "positive", 1, -1)
    ends = np.sort(np.stack([sign * signed["low"], sign * signed["high"]]), axis=0)
    by_interval = np.where(ends[0] > 0, "supported", np.where(ends[1] < 0, "not supported", "inconclusive"))
    decided = signed["verdict"] != "inconclusive"
    assert decided.sum() >= 2
    assert (signed["verdict"] == by_interval)[decided].all()
    held_back = signed[~decided & (by_interval != "inconclusive")]
    assert held_back["reason"].str.contains("by its interval, but ").all()


def test_what_any_gene_does_is_not_supported(tmp_path):
    """A quality of cells, by which most genes go with one another: only what goes beyond it is a finding."""
    adata = make()
    rng = np.random.default_rng(3)
    quality = rng.random((adata.n_obs, 1))
    with_it = [g in ("VSIR", "PDCD1") or g[-1] in "024678" for g in GENES]
    rate = np.where(with_it, quality, 1 - quality)
    rate[:, GENES.index("CXCL9")] = rate[:, GENES.index("CCL2")] = rng.exponential(0.5, adata.n_obs)
    adata.X = sp.csr_matrix(rng.poisson(3 * rate).astype(np.float32))
    rows = own(
        tmp_path, "any|x|y|within|VSIR|macrophage|PDCD1||positive|", "own|x|y|within|CXCL9|macrophage|CCL2||positive|"
    )
    tam.tl.claims(adata, "sample", table=rows)
    found = tam.get.claims(adata).set_index("claim_id")
    assert (found["low"] > 0).all()
    assert found["verdict"].to_dict() == {"any": "inconclusive", "own": "supported"}
    assert found.loc["any", "reason"].startswith("supported by its interval, but ")
    assert found.loc["any", "reason"].endswith(" of 20 swaps for genes of equal expression are as extreme")


def test_swapped_genes_are_rarely_supported_and_the_table_says_how_often(tested, table):
    against = table[table["n_swaps"] > 0]
    assert len(against) > 10
    assert against["swapped_supported"].between(0, 0.1).all()
    expected = against["swapped_supported"].sum()
    n_supported = (against["verdict"] == "supported").sum()
    assert n_supported > expected
    said = next(c for c in tam.get.claims(tested).attrs["cautions"] if "genes to swap" in c)
    assert said == (
        f"{n_supported} of {len(against)} claims with genes to swap are supported; with every gene replaced by one of "
        f"equal expression, {expected:.1f} would be."
    )
    row = table.loc["79c"]
    assert row["p_swapped"] == pytest.approx(1 / 21)
    assert abs(row["swapped"]) < row["observed"] / 4
    assert table.loc[["8", "52b"], "n_swaps"].tolist() == [0, 0]  # shares of labels have no genes


def test_primaries_are_compared_between_samples(table):
    row = table.loc["54a"]  # more PD-L1 in breast: not planted
    assert (row["n_samples"], row["verdict"]) == (6, "inconclusive")
    assert table.loc["64a", "verdict"] == "not measurable"
    assert "melanoma" in table.loc["64a", "reason"]


def test_across_samples_finds_what_differs_between_samples(tmp_path):
    adata = make(n_samples=7)
    rows = own(tmp_path, "x|x|y|across|CX3CR1|microglia|CX3CR1|monocyte_derived|positive|")
    tam.tl.claims(adata, "sample", table=rows)
    row = tam.get.claims(adata).iloc[0]
    assert (row["verdict"], row["n_samples"]) == ("supported", 7)
    few = make(n_samples=4)
    tam.tl.claims(few, "sample", table=rows)
    row = tam.get.claims(few).iloc[0]
    assert (row["verdict"], row["reason"]) == ("inconclusive", "4 samples, at least 5 are needed")


def test_few_samples_decide_nothing():
    adata = make(n_samples=2)
    tam.tl.claims(adata, "sample")
    found = tam.get.claims(adata)
    assert set(found["verdict"]) == {"inconclusive", "not measurable"}
    assert found.set_index("claim_id").loc["79c", "reason"] == "2 samples, at least 3 are needed"
    assert "2 samples: no claim can be tested" in found.attrs["cautions"][0]


def test_detection_has_denominators(tested):
    panel = tam.get.claims(tested, kind="detection").set_index(["gene", "origin", "state"])
    row = panel.loc[("CD274", "monocyte_derived", "all")]
    cells = tested.obs["tam_origin"] == "monocyte_derived"
    assert row["n_cells"] == cells.sum()
    assert row["n_detected"] == (tested[cells, "CD274"].X > 0).sum()
    assert 0 <= row["low"] < row["mean"] < row["high"] <= 1
    assert row["share_detected"] > panel.loc[("CD274", "microglia", "all"), "share_detected"]
    assert panel.loc[("CD274", "all", "all"), "n_cells"] == (tested.obs["tam_compartment"] == "macrophage").sum()


def test_detection_says_what_other_cells_have(table):
    row = table.loc["97d"]
    assert row["verdict"] == "detected"  # that a gene is there supports no more than that
    assert row["reason"].endswith("% of all other cells")


def test_a_gene_of_both_sides_is_counted_once(tmp_path):
    adata = make()
    tam.tl.claims(adata, "sample", table=own(tmp_path, "a|x|y|within|VEGFA|macrophage|@hypoxic||positive|"))
    row = tam.get.claims(adata).iloc[0]
    assert row["reason"] == "counted once: VEGFA"
    assert 0.1 < row["observed"] < 0.9


def test_nineteen_macrophages_decide_nothing(annotated):
    tam.tl.claims(annotated, "patient")
    found = tam.get.claims(annotated)
    assert set(found["verdict"]) <= {"inconclusive", "not measurable"}
    undecided = found[found["verdict"] == "inconclusive"]
    assert len(undecided) > 20
    assert undecided["reason"].str.startswith(("no sample has enough cells", "1 sample")).all()


def test_written_and_read_back(tested, tmp_path):
    tested.write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    for kind in ("claims", "detection"):
        now, was = tam.get.claims(again, kind=kind), tam.get.claims(tested, kind=kind)
        assert now.to_csv(index=False, float_format="%.6g") == was.to_csv(index=False, float_format="%.6g")
        assert now.attrs == was.attrs


def test_order_of_cells_does_not_matter(tested):
    mixed = tested[np.random.default_rng(1).permutation(tested.n_obs)].copy()
    tam.tl.claims(mixed, "sample", malignant="tumour", primary=("primary", {"NSCLC": "lung"}), min_cells=8)
    columns = ["observed", "low", "high"]
    np.testing.assert_allclose(tam.get.claims(mixed)[columns], tam.get.claims(tested)[columns], rtol=1e-5)


def test_bundled_table_follows_the_list_of_claims():
    page = (Path(__file__).parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
    listed = {
        c[1].strip(): (c[2].strip(), c[3].strip()) for c in (x.split("|") for x in page.splitlines()) if len(c) == 8
    }
    library = tam.load_signatures()
    for claim in read_claims():
        if claim.claim_id != "bill2023":
            source, text = listed[claim.claim_id.rstrip("abcdefgh")]
            assert claim.claim == text
            assert claim.source.startswith(source + ", doi:10.3389/fimmu.202")
        assert all(m[1:] in library for m in claim.measures if m.startswith("@"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a|x|y|guess|CD274|macrophage||||", "kind must be one of"),
        ("a|x|y|within|CD274|macrophage|||positive|", "needs b"),
        ("a|x|y|within|CD274|macrophage|VSIR||up|", "expected must be .* not 'up'"),
        ("a|x|y|share|share:microglia|macrophage|||0.5-0.3|", "expected must be"),
        ("a|x|y|within", "4 fields instead of 10"),
        ("a|x|y|none||||||", "needs note"),
    ],
)
def test_rows_that_cannot_betested(tmp_path, row, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.claims(make(2, 20), "sample", table=own(tmp_path, row))


def test_refusals(tmp_path, example):
    adata = make(2, 20)
    with pytest.raises(ResultNotFoundError):
        tam.tl.claims(example, "patient")
    with pytest.raises(ParameterError, match="min_cells must be at least 4"):
        tam.tl.claims(adata, "sample", min_cells=1)
    with pytest.raises(ParameterError, match="more than one value in sample"):
        tam.tl.claims(adata, "sample", primary="tam_origin")
    with pytest.raises(ParameterError, match="has no value lungs"):
        tam.tl.claims(adata, "sample", site=("sample", {"lungs": "lung"}))
    with pytest.raises(InputFileError, match="Cannot read"):
        tam.tl.claims(adata, "sample", table=tmp_path / "none.tsv")
    with pytest.raises(ParameterError, match="more than once"):
        tam.tl.claims(adata, "sample", table=own(tmp_path, *["a|x|y|none||||||why"] * 2))
    (tmp_path / "other.tsv").write_text("a\tb\n")
    with pytest.raises(ParameterError, match="header"):
        tam.tl.claims(adata, "sample", table=tmp_path / "other.tsv")
    with pytest.raises(ResultNotFoundError, match=r"tl\.claims"):
        tam.get.claims(adata)
    assert len(tam.get.claims(tam.tl.claims(adata, "sample", copy=True)))
    with pytest.raises(ParameterError, match="kind must be one of"):
        tam.get.claims(tam.tl.claims(adata, "sample", copy=True), kind="all")
