"""The example data that ship with tamannot."""

from __future__ import annotations

import anndata as ad

from tamannot._resources import resource_path

FILE = "oligodendroglioma_tirosh2016.h5ad"


def oligodendroglioma() -> ad.AnnData:
    """Return 184 cells of human oligodendrogliomas with their authors' labels.

    Returns
    -------
    184 cells × 9,450 genes, TPM-like linear values. ``obs["author_label"]`` holds the authors' cell
    classes: malignant cells of four tumours, oligodendrocytes, and 19 microglia or macrophages;
    ``obs["patient"]`` the tumour. Source: Tirosh et al. 2016, doi:10.1038/nature20123, GSE70630; the
    subset is that of the infercnvpy package (BSD-3-Clause).
    """
    return ad.read_h5ad(resource_path("example_data") / FILE)
