"""Controls, antibodies, peaks and guides are not ranked, and never answer for a gene."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import unpack
from tamannot.data._genes import features_of
from tamannot.errors import MatrixError
from tamannot.signature import human_genes

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

CONTROLS = [f"NegControlProbe_{i:05d}" for i in range(20)] + [f"UnassignedCodeword_{i:04d}" for i in range(40)]
PROTEINS = ["CD14", "CD163", "CD68", "CD3E", "CD4", "ITGAM", "PTPRC", "CD19"]


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """A panel of 500 genes in 60 cells, among them those of the compartments."""
    adata = tam.datasets.simulate(60, n_samples=1, n_genes=4000, rng=1)
    known = {g.symbol for s in tam.load_signatures(axis="compartment").values() for g in s.all_genes}
    genes = sorted(adata.var_names, key=lambda g: (g not in known, g))[:500]
    return adata[:, sorted(genes)].copy()


def extended(adata: ad.AnnData, names, kind: str | None, *, first: bool = False, unique: bool = True) -> ad.AnnData:
    """Return cells with more features beside their genes; without a kind nothing but names tells them apart."""
    more = np.random.default_rng(3).poisson(4, (adata.n_obs, len(names))).astype(np.float32)
    own = pd.DataFrame({"feature_types": "Gene Expression"}, index=list(adata.var_names))
    var = pd.DataFrame({"feature_types": kind}, index=list(names))
    parts = [(sp.csr_matrix(adata.X), own), (sp.csr_matrix(more), var)][:: -1 if first else 1]
    both = pd.concat([v for _, v in parts])
    out = ad.AnnData(sp.hstack([x for x, _ in parts]).tocsr(), obs=adata.obs.copy(), var=both)
    if kind is None:
        del out.var["feature_types"]
    if unique:
        out.var_names_make_unique()
    return out


def score(adata: ad.AnnData) -> bytes:
    tam.tl.score(adata, tam.load_signatures(axis="compartment"), null="matched", min_coverage=0)
    return b"".join(adata.obsm[f"tam_{table}"].to_numpy().tobytes() for table in ("scores", "z", "p"))


KINDS = {
    "controls by column": lambda a: extended(a, CONTROLS, "Negative Control Probe"),
    "controls by name": lambda a: extended(a, CONTROLS, None),
    "antibodies after": lambda a: extended(a, PROTEINS, "Antibody Capture"),
    "antibodies before": lambda a: extended(a, PROTEINS, "Antibody Capture", first=True),
    "antibodies by name": lambda a: extended(a, [f"{p}_TotalSeqB" for p in PROTEINS], None, first=True),
    "peaks": lambda a: extended(a, [f"chr1:{i}000-{i}500" for i in range(3000)], "Peaks"),
    "peaks by name": lambda a: extended(a, [f"chr1-{i}000-{i}500" for i in range(3000)], None),
    "guides": lambda a: extended(a, ["TP53_g1", "NTC_1"], "CRISPR Guide Capture"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_genes_alone(cells, kind):
    more = KINDS[kind](cells)
    assert score(more) == score(cells.copy())
    record = more.uns["tamannot"]["tam"]["matrix"]
    assert record["n_vars"] == cells.n_vars
    assert record["left_out"]["n"].sum() == more.n_vars - cells.n_vars
    assert record["left_out_by"] == ("their names" if "name" in kind else "var['feature_types']")


def dask_of(x):
    array = pytest.importorskip("dask.array")
    return array.from_array(x, chunks=(17, 100))


CONTAINERS = {
    "csr": lambda x: x,
    "csc": sp.csc_matrix,
    "dense": lambda x: x.toarray(),
    "dask": lambda x: dask_of(x.toarray()),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("first", [False, True])
def test_in_every_container(cells, container, first):
    more = extended(cells, PROTEINS, "Antibody Capture", first=first)
    more.X = CONTAINERS[container](more.X)
    assert score(more) == score(cells.copy())


@pytest.fixture(scope="module")
def plain(cells) -> ad.AnnData:
    """The cells with their genes alone, annotated."""
    return tam.tl.annotate(cells, tissue="brain", copy=True)


NIGHTLY = pytest.mark.nightly  # matrices of every container are read from zarr in test_blocks


@pytest.mark.parametrize(
    ("backend", "container"),
    [
        *(("h5ad", "csr"), ("h5ad", "csc"), ("h5ad", "dense")),
        *(pytest.param("zarr", container, marks=NIGHTLY) for container in ("csr", "csc", "dense")),
    ],
)
def test_in_every_file(cells, plain, container, backend, tmp_path):
    more = extended(cells, CONTROLS, "Negative Control Probe", first=True)
    more.X = CONTAINERS[container](more.X)
    path, out = tmp_path / f"x.{backend}", tmp_path / f"out.{backend}"
    getattr(more, f"write_{backend}")(path)
    tam.annotate_file(path, out, tissue="brain")
    found = getattr(ad, f"read_{backend}")(out)
    assert found.n_vars == more.n_vars
    assert found.obs["tam_compartment"].astype(str).tolist() == plain.obs["tam_compartment"].astype(str).tolist()
    assert found.obsm["tam_z"].to_numpy().tobytes() == plain.obsm["tam_z"].to_numpy().tobytes()


def test_what_was_left_out_is_said_once(cells, caplog):
    more = extended(cells, CONTROLS, "Negative Control Probe")
    score(more)
    line = (
        "In X 60 features are not genes according to var['feature_types'] and are ignored (60 Negative Control Probe)."
    )
    assert caplog.messages.count(line) == 1


def test_negative_values_of_proteins_do_not_refuse_the_genes(cells):
    more = extended(cells, PROTEINS, "Antibody Capture")
    more.X = more.X.toarray()
    more.X[:, -len(PROTEINS) :] -= 5.5
    assert score(more) == score(cells.copy())


def test_evidence_of_an_annotated_cell_is_that_of_the_genes_alone(cells):
    more, plain = extended(cells, PROTEINS, "Antibody Capture", first=True), cells.copy()
    for adata in (more, plain):
        tam.tl.annotate(adata, tissue="brain")
    row = int(np.flatnonzero(plain.obs["tam_compartment"] == "macrophage")[0])
    one, other = (tam.get.contributions(a, row, axis="compartment") for a in (more, plain))
    pd.testing.assert_frame_equal(one, other)
    one, other = (tam.get.evidence(a, row) for a in (more, plain))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_a_name_of_a_protein_and_of_a_gene_is_no_duplicate(cells):
    more = extended(cells, PROTEINS, "Antibody Capture", unique=False)
    assert score(more) == score(cells.copy())


def test_a_model_is_trained_and_asked_without_controls(cells):
    labels = ["macrophage" if c == "macrophage" else "other" for c in cells.obs["truth_compartment"]]
    more = extended(cells, CONTROLS, None, first=True)
    predicted = []
    for adata in (cells.copy(), more):
        model = tam.tl.train(adata, labels, n_genes=50)
        model.predict(adata, key_added="m")
        predicted.append(adata.obsm["m_proba"].to_numpy())
    assert predicted[0].tobytes() == predicted[1].tobytes()
    assert more.uns["tamannot"]["m"]["matrix"]["left_out"]["n"].sum() == len(CONTROLS)


def test_a_matrix_without_any_gene_is_refused(cells):
    more = extended(cells, PROTEINS, "Antibody Capture")
    proteins = more[:, more.var["feature_types"] == "Antibody Capture"].copy()
    with pytest.raises(
        MatrixError, match=r"X: not usable, it has no genes: 8 features are not genes .*Antibody Capture"
    ):
        unpack(proteins, tam.load_signatures(axis="compartment"))


@pytest.mark.parametrize(
    "name",
    [
        *("NegControlProbe_00042", "NegControlCodeword-0500", "UnassignedCodeword_0001", "DeprecatedCodeword.0001"),
        *("BLANK_0001", "Blank-1", "NegPrb01", "Negative12", "SystemControl1", "antisense_SCRIB", "NegProbe-WTX"),
        *("chr1:100-200", "chr1-100-200", "chrX_100_200", "GL000194.1:55758-56597", "1:100-200", "GRCh38_chr1:1-2"),
        *("CD3_TotalSeqB", "CD14-TotalC", "adt_CD3", "CD3-ADT", "CD3_prot", "Hashtag_1", "HTO-A", "CMO301"),
        *("ERCC-00002", "sgRNA_1", "Non-targeting_001", "Intergenic_Region_12"),
    ],
)
def test_a_name_that_no_gene_has_is_none(name):
    found = features_of(pd.DataFrame(index=["CD14", name, "CD68"]))
    assert found.var.index.tolist() == ["CD14", "CD68"]
    assert found.columns.tolist() == [0, 2]


def test_no_gene_is_taken_for_something_else():
    table = human_genes()
    former = [name for names in table.former.values() for name in names]
    own = [*table.ensembl, *table.ensembl.values(), *former]
    names = own + [n.lower() for n in own] + [n.replace("-", ".") for n in own] + [f"{n}-1" for n in table.ensembl]
    names += [
        "AC000061.1_ENSG00000083622",
        "RP11-34P13.7",
        "Neg1",
        "NEGR1",
        "BLNK",
        "CHRM1",
        "NKX2-1",
        "HLA-A",
        "ADTRP",
    ]
    assert features_of(pd.DataFrame(index=names)).columns is None


@pytest.mark.parametrize(
    ("column", "gene", "other"),
    [
        ("feature_types", "Gene Expression", "Metabolites of tomorrow"),
        ("feature_types", "Gene Expression", "Unassigned Codeword"),
        ("feature_type", "gene", "protein"),
        ("modality", "rna", "atac"),
        ("CodeClass", "Endogenous", "SystemControl"),
        ("feature_biotype", "gene", "spike-in"),
    ],
)
def test_each_column_of_types_is_read(column, gene, other):
    found = features_of(pd.DataFrame({column: pd.Categorical([gene, other, gene])}, index=["CD14", "CD68", "CD4"]))
    assert found.var.index.tolist() == ["CD14", "CD4"]
    assert (found.left_out, found.by) == (((other, 1),), f"var['{column}']")


@pytest.mark.parametrize("words", [["lncRNA", "protein_coding", "gene"], [1, 2, 3], [np.nan, "Gene Expression", ""]])
def test_words_that_say_nothing_leave_all_genes(words):
    assert features_of(pd.DataFrame({"feature_types": words}, index=["A1BG", "CD14", "CD4"])).columns is None


def test_a_column_that_says_gene_is_believed_over_the_name():
    var = pd.DataFrame({"feature_types": "Gene Expression"}, index=["CD14", "Blank-1"])
    assert features_of(var).columns is None
