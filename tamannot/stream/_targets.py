"""Where results go: the annotated object, a table, or both."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import anndata as ad
import pandas as pd

from tamannot.errors import OutputError, ParameterError
from tamannot.stream._output import replacing

_OUT_SUFFIXES = (".h5ad", ".zarr")
_TABLE_SUFFIXES = (".csv", ".parquet")


def targets_of(out: str | os.PathLike[str] | None, table: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Return the files to write by suffix.

    Raises
    ------
    OutputError
        A name has another ending.
    ParameterError
        There is nowhere to write to, or a package is missing for it.
    """
    targets: dict[str, Path] = {}
    for given, suffixes in ((out, _OUT_SUFFIXES), (table, _TABLE_SUFFIXES)):
        if given is None:
            continue
        target = Path(given)
        if target.suffix not in suffixes:
            msg = f"{target}: the name must end in {' or '.join(suffixes)}."
            raise OutputError(msg)
        targets[target.suffix] = target
    if not targets:
        msg = "Nowhere to write to: give an output file (-o) or a table (--table)."
        raise ParameterError(msg)
    if ".parquet" in targets and find_spec("pyarrow") is None:
        msg = "Parquet tables need pyarrow:  pip install 'tamannot[parquet]'  (or write a .csv)."
        raise ParameterError(msg)
    return targets


def write_targets(targets: Mapping[str, Path], adata: ad.AnnData, table: Callable[[], pd.DataFrame]) -> None:
    """Write every target, each whole or not at all; none is moved into place before all are written."""
    writers: dict[str, Callable[[Path], object]] = {
        ".h5ad": lambda path: adata.write_h5ad(path, compression="gzip"),
        ".zarr": adata.write_zarr,
        ".csv": lambda path: table().to_csv(path, index_label="cell"),
        ".parquet": lambda path: table().rename_axis("cell").to_parquet(path),
    }
    with ExitStack() as stack:
        for kind, target in targets.items():
            writers[kind](stack.enter_context(replacing(target)))
