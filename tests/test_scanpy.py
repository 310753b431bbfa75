"""scanpy's own next steps on what tamannot wrote, from memory and from the command line's file."""

from __future__ import annotations

from unittest import mock

import anndata as ad
import pytest
import scanpy as sc

import tamannot as tam
from tamannot.cli import main

pytestmark = pytest.mark.filterwarnings("ignore")

GENES = ["CD14", "C1QA", "P2RY12"]
AXES = ["tam_compartment", "tam_origin", "tam_state"]
OTHERS = [f"{axis}{end}" for axis in AXES for end in ("_status", "_vote")] + ["tam_programs"]
STEPS = {
    "dotplot": lambda a, by: sc.pl.dotplot(a, GENES, groupby=by, show=False),
    "stacked_violin": lambda a, by: sc.pl.stacked_violin(a, GENES, groupby=by, show=False),
    "matrixplot": lambda a, by: sc.pl.matrixplot(a, GENES, groupby=by, show=False),
    "dendrogram": sc.tl.dendrogram,
    "umap": lambda a, by: sc.pl.umap(a, color=by, show=False),
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> dict[str, ad.AnnData]:
    folder = tmp_path_factory.mktemp("scanpy")
    example = tam.datasets.oligodendroglioma()
    example.write_h5ad(folder / "in.h5ad")
    words = ["tamannot", "annotate", str(folder / "in.h5ad"), "-o", str(folder / "out.h5ad"), "--quiet"]
    with mock.patch("sys.argv", words), pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    tam.tl.annotate(example)
    objects = {"memory": example, "file": ad.read_h5ad(folder / "out.h5ad")}
    for adata in objects.values():
        tam.tl.vote(adata, "patient")
        sc.pp.log1p(adata)
        sc.pp.pca(adata, n_comps=5)
        adata.obsm["X_umap"] = adata.obsm["X_pca"][:, :2]
    return objects


# The columns of a file are those of memory, to categories and colours: the last test says so.
@pytest.mark.parametrize(
    ("where", "label"),
    [
        *(("memory", label) for label in AXES),
        ("file", "tam_state"),
        *(pytest.param("file", label, marks=pytest.mark.nightly) for label in AXES[:2]),
        *(pytest.param("memory", label, marks=pytest.mark.slow) for label in OTHERS),
        *(pytest.param("file", label, marks=pytest.mark.nightly) for label in OTHERS),
    ],
)
def test_steps_by_every_label(objects, where, label):
    adata = objects[where]
    for step in STEPS.values():
        step(adata, label)


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("label", AXES)
def test_genes_of_the_labels_are_ranked(objects, where, label):
    adata = objects[where]
    size = adata.obs[label].value_counts()
    wanted = list(size.index[size > 1])  # scanpy refuses groups of one cell
    sc.tl.rank_genes_groups(adata, label, groups=wanted)
    assert set(adata.uns["rank_genes_groups"]["names"].dtype.names) == set(wanted)


def test_memory_and_file_have_the_same_categories_and_colours(objects):
    for label in (*AXES, *OTHERS):
        of = [list(a.obs[label].cat.categories) for a in objects.values()]
        assert of[0] == of[1]
    for axis in ("origin", "state"):
        of = [list(a.uns[f"tam_{axis}_colors"]) for a in objects.values()]
        assert of[0] == of[1]
