"""Write the reference of macrophages and compartments that ships with tamannot.

usage: python tools/make_cell_reference.py PROFILES.h5ad HGNC.tsv.gz GENES.tsv tamannot/classify

PROFILES.h5ad holds mean expression profiles of author-named cell types (``obs["truth_celltype"]``, ``obs["tissue"]``)
of the Cell Profile Library (https://github.com/Nanostring-Biostats/CellProfileLibrary, CC BY 4.0). HGNC.tsv.gz has
the columns ``symbol`` and ``mouse_symbols``, GENES.tsv ``symbol`` and ``mouse_ensembl`` (``|`` between several). Out:
``profiles.npz``, the profiles of cell types that belong to one compartment, and ``macrophages.tsv.gz``, how deep each
gene ranks in macrophages of those tissues.
"""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from tamannot.scoring import UCell, depths_by_method, reference_depth
from tamannot.scoring._rows import CsrRows

# Author names by compartment; the first that matches counts. None: mixed, progenitors, or of no compartment.
COMPARTMENTS: list[tuple[str, str | None]] = [
    (
        (
            r"leukocyte|^Myeloid(\.cells)?$|Mononuclear\.phag|Macrophages\.DC|monocyte\.macrophage|B\.T\.NK|"
            r"Antigen\.presenting|hematopoietic|Hematopoietic|CD34\+|[Pp]rogenitor|Stem\.Cell|^TA$|precursor\.B|Eosinophil|"
            r"mesenchymal\.stem|Cycling\.Lymph|Neoplastic"
        ),
        None,
    ),
    (r"[Mm]icrogli|[Mm]acrophage|Hofbauer|Myeloid\.Type", "macrophage"),
    (r"plasmacytoid|pDC", "plasmacytoid"),
    (r"[Dd]endritic|DC\d?$|^DCs?$", "dendritic"),
    (r"[Mm]onocyte", "monocyte"),
    (r"Neutrophil|[Gg]ranulocyte", "neutrophil"),
    (r"[Mm]ast", "mast"),
    (r"[Pp]lasma|IgG|IgA|Antibody", "plasma"),
    (r"B\.cell|^B$|Bcell|switched\.B", "b"),
    (r"T\.cell|Tcell|NK|killer|[Ll]ymphoid|Treg|gd\.T|Gamma\.delta|IFN\.Lymph|hymocyte|CD[48].?\.?T", "t_nk"),
    (r"Astrocyte|Muller\.cell$", "glial_like"),
    (r"Oligodendrocyte", "oligodendrocyte"),
    (r"OPC", "opc"),
    (r"Schwann|ENS\.glia|glial\.cell", "schwann"),
    (
        (
            r"L[2-6]|LAMP5|PAX6|PVALB|SST|VIP|[Nn]euron|Purkinje|brush|[Aa]macrine|ipolar|rod\.cell|cone\.cell|anglion|"
            r"orizontal\.cell|hotoreceptor"
        ),
        "neuron",
    ),
    (r"Chromaffin|Sympatho|ndocrine|neuroendo", None),
    (r"ndotheli|LSEC|vessel|Vascular\.EC|Lymphatic\.EC|Vascular\.Type\.1", "endothelial"),
    (r"VLMC|ibroblast|tromal|mesenchymal\.cell", "fibroblast"),
    (r"ericyte|[Ss]mooth|erivascular|Stellate|Mesangial|Vascular\.Type", "mural"),
    (r"iliated", "ependymal"),
    (r"elanocyte", "melanocyte"),
    (r"egakaryo|latelet|Platet", "platelet"),
    (r"ryth|RBC|Erthyroid", "erythroid"),
    (
        (
            r"pitheli|nterocyte|[Gg]oblet|Paneth|[Dd]uct|[Aa]cinar|Hep\.|Hepatoblast|Cholang|[Bb]asal|ecretory|quamous|"
            r"eratinocyte|rophoblast|[Tt]hymic|Parietal|mucous|Ionocyte|Deutero|Ureteric|Metanephric"
        ),
        "epithelial_like",
    ),
]
# So many genes tell compartments apart; the genes of signatures are kept beside them.
N_GENES = 4000
# log1p of ten thousand per cell in a byte: steps of 0.04.
STEP = 0.04
# Counts of a typical cell, and cells drawn of each profile, for the ranks.
COUNTS, DRAWN = 4000, 20


def main(profiles: str, hgnc: str, genes: str, folder: str) -> None:
    """Read the profiles, name their compartments and write both files."""
    adata = ad.read_h5ad(profiles)
    x = np.asarray(adata.X.toarray() if sp.issparse(adata.X) else adata.X, float)
    x = 1e4 * x / x.sum(axis=1, keepdims=True)
    compartment = [compartment_of(name) for name in adata.obs["truth_celltype"].astype(str)]
    symbols = np.array(adata.var_names.tolist(), str)
    table = pd.read_csv(hgnc, sep="\t", dtype=str, keep_default_na=False).set_index("symbol")
    known = pd.read_csv(genes, sep="\t", dtype=str, keep_default_na=False).set_index("symbol")["mouse_ensembl"]
    to_mouse = {s: (m.split("|")[0], known.get(s, "").split("|")[0]) for s, m in table["mouse_symbols"].items()}
    mouse = np.array([to_mouse.get(s, ("", ""))[0] for s in symbols])
    write_profiles(x, np.array(compartment, object), symbols, mouse, adata, Path(folder) / "profiles.npz")
    write_depths(x[[c == "macrophage" for c in compartment]], symbols, to_mouse, Path(folder))


def compartment_of(name: str) -> str | None:
    """Return the compartment of an author's cell type; None if it has none."""
    return next((c for pattern, c in COMPARTMENTS if re.search(pattern, name)), None)


def write_profiles(
    x: np.ndarray, compartment: np.ndarray, symbols: np.ndarray, mouse: np.ndarray, adata: ad.AnnData, path: Path
) -> None:
    """Write the profiles of one compartment each, with the genes that tell compartments apart."""
    used = np.array([c is not None for c in compartment])
    logs, of = np.log1p(x[used]), compartment[used].astype(str)
    unit = logs / np.linalg.norm(logs, axis=1, keepdims=True)
    means = np.stack([unit[of == c].mean(axis=0) for c in sorted(set(of))])
    genes = np.sort(np.argsort(np.median(means, axis=0) - means.max(axis=0), kind="stable")[:N_GENES])
    np.savez_compressed(
        path,
        symbol=symbols[genes],
        mouse=mouse[genes],
        compartment=of,
        tissue=np.array(adata.obs["tissue"].astype(str).tolist(), str)[used],
        steps=np.rint(logs[:, genes] / STEP).clip(0, 255).astype(np.uint8),
    )
    print(f"{path}: {used.sum()} profiles, {genes.size} genes, {path.stat().st_size:,} bytes")


def write_depths(x: np.ndarray, symbols: np.ndarray, to_mouse: dict[str, tuple[str, str]], folder: Path) -> None:
    """Write how deep each gene ranks in cells drawn from the macrophages' profiles.

    Genes that the profiles lack are placed by the other reference, on the scale of the genes in both.
    """
    rng = np.random.default_rng(0)
    counts = rng.poisson(COUNTS * np.repeat(x, DRAWN, axis=0) / 1e4).astype(np.float32)
    depth = depths_by_method(CsrRows(sp.csr_matrix(counts)), [UCell()], threads=1)[0] / counts.shape[0]
    place = {s: i for i, s in enumerate(symbols)}
    other = {}

    def note(symbol: str) -> int:
        other[symbol] = len(other)
        return other[symbol]

    values = reference_depth(note, 100_000, species="human")
    both = [(depth[place[s]], values[i]) for s, i in other.items() if s in place]
    ours, theirs = np.array(both).T
    slope = float(ours @ theirs / (theirs @ theirs))
    rows = [(s, d) for s, d in zip(symbols, depth, strict=True) if d > 0]
    rows += [(s, slope * values[i]) for s, i in other.items() if s not in place]
    named = [(s, *to_mouse.get(s, ("", "")), d) for s, d in sorted(rows)]
    lines = ["symbol\tmouse\tmouse_ensembl\tdepth", *(f"{s}\t{m}\t{e}\t{d:.4g}" for s, m, e, d in named)]
    path = folder / "macrophages.tsv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    print(f"{path}: {len(rows)} genes, {x.shape[0]} profiles, slope {slope:.3f}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:5])
