"""Write the files of a release that all later releases must read, with what was in them.

usage: python tools/make_compat.py

Run once, at a release, with the package of that release: it writes ``tests/compat/<version>`` and refuses to write it
again. A test reads every such folder.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pandas as pd
from anndata import AnnData

import tamannot as tam

COMPAT = Path(__file__).parent.parent / "tests" / "compat"
FORMATS = {"toml": ".toml", "gmt": ".gmt", "json": ".json", "network": ".csv", "ucell": ".ucell.csv"}
OWN = {"mine": ["CD68", "SPP1", "GPNMB", "CD3E-"], "other": ["IFIT1", "ISG15"]}


def cells() -> AnnData:
    """Return a small tumour: macrophages and T cells of three samples."""
    return tam.datasets.simulate(
        120, n_samples=3, n_genes=1500, depth=5000, composition={"macrophage": 0.8, "t_nk": 0.2}, rng=0
    )


def main() -> int:
    """Write the folder of this release; return the exit code."""
    folder = COMPAT / tam.__version__
    if folder.exists():
        print(f"{folder} is there: files of a release never change")
        return 1
    folder.mkdir(parents=True)
    warnings.simplefilter("ignore", tam.errors.TamannotWarning)
    adata = cells()
    tam.tl.train(adata, "truth_compartment", sample_key="sample", n_genes=200).save(folder / "labels.npz")
    tam.tl.train(adata, sample_key="sample", tissue="brain").save(folder / "anchored.npz")
    write_expected(adata, folder)
    for kind, suffix in FORMATS.items():
        tam.write_signatures(tam.read_signatures(OWN), folder / f"signatures{suffix}", format=kind)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>8,}  {path.name}")
    return 0


def write_expected(adata: AnnData, folder: Path) -> None:
    """Write the annotated cells, and what was read from them, and from the models, as tables."""
    label = tam.load_model(folder / "labels.npz").predict(adata, copy=True)
    table(label.obs[["tam_model_label", "tam_model_prob"]], folder / "labels.csv")
    anchored = tam.tl.annotate(adata, model=folder / "anchored.npz", tissue="brain", copy=True)
    table(tam.get.annotations(anchored), folder / "anchored.csv")
    tam.tl.annotate(adata, tissue="brain")
    table(tam.get.annotations(adata), folder / "annotations.csv")
    table(tam.get.scores(adata, kind="z").iloc[:20], folder / "z.csv")
    adata[:60].write_h5ad(folder / "annotated.h5ad", compression="gzip")


def table(values: pd.DataFrame, path: Path) -> None:
    """Write a table with as many digits as float32 has."""
    values.to_csv(path, float_format="%.7g")


if __name__ == "__main__":
    sys.exit(main())
