"""Write the files of a release that all later releases must read, with what was in them.

usage: python tools/make_compat.py

Run once, at a release, with the package of that release: it writes ``tests/compat/<version>`` and refuses to write it
again. A test reads every such folder.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

import pandas as pd
from anndata import AnnData

import tamannot as tam

COMPAT = Path(__file__).parent.parent / "tests" / "compat"
FORMATS = {"gmt": ".gmt", "json": ".json", "network": ".csv", "ucell": ".ucell.csv"}
OWN = {"mine": ["CD68", "SPP1", "GPNMB", "CD3E-"], "other": ["IFIT1", "ISG15"]}


def cells() -> AnnData:
    """Return a small tumour: macrophages and T cells of three samples."""
    adata = tam.datasets.simulate(
        200, n_samples=3, n_genes=3000, depth=6000, composition={"macrophage": 0.8, "t_nk": 0.2}, rng=0
    )
    del adata.uns["truth"]
    return adata


def main() -> int:
    """Write the folder of this release; return the exit code."""
    folder = COMPAT / tam.__version__
    if folder.exists():
        print(f"{folder} is there: files of a release never change")
        return 1
    folder.mkdir(parents=True)
    warnings.simplefilter("ignore", tam.errors.TamannotWarning)
    adata = cells()
    with tempfile.TemporaryDirectory() as scratch:
        write_models(adata, folder, Path(scratch))
        write_annotations(adata, folder, Path(scratch))
        with tarfile.open(folder / "cells.tar.xz", "w:xz") as archive:  # HDF5 and zarr are mostly air here
            for path in sorted(Path(scratch).iterdir()):
                archive.add(path, path.name)
    for kind, suffix in FORMATS.items():
        tam.write_signatures(tam.read_signatures(OWN), folder / f"signatures{suffix}", format=kind)
    tam.write_signatures(tam.load_signature("immunoregulatory"), folder / "library", format="toml")
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>8,}  {path.name}")
    return 0


def write_models(adata: AnnData, folder: Path, scratch: Path) -> None:
    """Write models of both kinds, and what they say of some cells."""
    some = adata[::12].copy()
    some.write_h5ad(scratch / "cells.h5ad")
    labels = tam.tl.train(adata, "truth_compartment", sample_key="sample", n_genes=200)
    labels.save(folder / "labels.npz")
    labels.predict(some)
    table(some.obs[["tam_model_label", "tam_model_prob"]], folder / "labels.csv")
    anchored = tam.tl.train(adata, sample_key="sample", tissue="brain")
    anchored.save(folder / "anchored.npz")
    tam.tl.annotate(some, model=anchored, tissue="brain")
    table(tam.get.annotations(some), folder / "anchored.csv")


def write_annotations(adata: AnnData, folder: Path, scratch: Path) -> None:
    """Write annotated cells without their counts, and what is read from them."""
    tam.tl.annotate(adata, tissue="brain")
    some = adata[::12].copy()
    some.X = None
    some.write_h5ad(scratch / "annotated.h5ad")
    some.write_zarr(scratch / "annotated.zarr")
    table(tam.get.annotations(some), folder / "annotations.csv")
    table(tam.get.scores(some, kind="z"), folder / "z.csv")
    table(tam.get.coverage(some), folder / "coverage.csv")


def table(values: pd.DataFrame, path: Path) -> None:
    """Write a table with as many digits as float32 has."""
    values.to_csv(path, float_format="%.7g")


if __name__ == "__main__":
    sys.exit(main())
