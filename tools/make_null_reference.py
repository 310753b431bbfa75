"""Write the reference of the compartments' null: how deep each gene ranks in cells of many kinds.

usage: python tools/make_null_reference.py tamannot/scorers/human_reference.tsv.gz
needs: pip install celltypist (MIT licence), whose package carries 559 human cells as an example

Only the mean rank depth (rank cap 1,500) of each gene over these cells is kept; it serves to cut genes
into expression bins, so that a macrophage is not compared with macrophages alone.
"""

from __future__ import annotations

import gzip
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tamannot.genes import human_genes
from tamannot.kernels._rows import CsrRows
from tamannot.scorers import UCell, gene_depths


def main(out: str) -> None:
    """Rank the cells, name the genes as they are approved today, and write the result."""
    table = pd.read_csv(files("celltypist") / "data/samples/sample_cell_by_gene.csv", index_col=0)
    rows = CsrRows(sp.csr_matrix(table.to_numpy(np.float32)))
    depth = gene_depths(rows, UCell(), threads=1) / len(table)
    genes = human_genes()
    names = [c if c in genes.ensembl else genes.approved_of.get(c, c) for c in table.columns.astype(str)]
    best = pd.Series(depth, index=names).groupby(level=0).max()
    kept = best[(best > 0) & best.index.isin(list(genes.ensembl))]
    lines = ["symbol\tdepth", *(f"{symbol}\t{value:.4g}" for symbol, value in kept.sort_index().items())]
    Path(out).write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    print(f"{out}: {len(kept)} genes, {Path(out).stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
