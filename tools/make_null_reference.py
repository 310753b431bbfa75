"""Write the reference of the compartments' null: how deep each gene ranks in cells of many kinds.

usage: python tools/make_null_reference.py HGNC.tsv.gz tamannot/scorers
needs: pip install celltypist (MIT licence), whose package carries 559 human cells as an example

Only the mean rank depth (rank cap 1,500) of each gene over these cells is kept; it serves to cut genes
into expression bins, so that a macrophage is not compared with macrophages alone. HGNC.tsv.gz has the
columns ``symbol`` and
``mouse_symbols`` (``|`` between several), for the orthologues of the mouse file.
"""

from __future__ import annotations

import gzip
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tamannot.scoring import UCell, depths_by_method
from tamannot.scoring._rows import CsrRows
from tamannot.signature import human_genes


def main(orthologues: str, folder: str) -> None:
    """Rank the cells, name the genes as they are approved today, and write one file a species."""
    table = pd.read_csv(files("celltypist") / "data/samples/sample_cell_by_gene.csv", index_col=0)
    rows = CsrRows(sp.csr_matrix(table.to_numpy(np.float32)))
    depth = depths_by_method(rows, [UCell()], threads=1)[0] / len(table)
    genes = human_genes()
    names = [c if c in genes.ensembl else genes.approved_of.get(c, c) for c in table.columns.astype(str)]
    best = pd.Series(depth, index=names).groupby(level=0).max()
    human = best[(best > 0) & best.index.isin(list(genes.ensembl))].sort_index()
    write(human, Path(folder) / "human_reference.tsv.gz")
    to_mouse = pd.read_csv(orthologues, sep="\t", dtype=str, keep_default_na=False).set_index("symbol")["mouse_symbols"]
    pairs = [(m, v) for s, v in human.items() for m in to_mouse.get(s, "").split("|") if m]
    mouse = pd.Series([v for _, v in pairs], index=[m for m, _ in pairs]).groupby(level=0).max()
    write(mouse.sort_index(), Path(folder) / "mouse_reference.tsv.gz")


def write(depths: pd.Series, path: Path) -> None:
    """Write a table, the same bytes each time."""
    lines = ["symbol\tdepth", *(f"{symbol}\t{value:.4g}" for symbol, value in depths.items())]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    print(f"{path}: {len(depths)} genes, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
