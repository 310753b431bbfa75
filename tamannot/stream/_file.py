"""Annotating a file into a new one."""

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad

from tamannot._progress import Report, silent
from tamannot.errors import OutputError, ParameterError, TamannotWarning
from tamannot.get import annotations as annotation_table
from tamannot.signature import Signature
from tamannot.stream._input import read_file
from tamannot.stream._output import check_target, replacing
from tamannot.stream._summary import FileSummary, summarise
from tamannot.tl._run import STEPS, run

_OUT_SUFFIXES = (".h5ad", ".zarr")
_TABLE_SUFFIXES = (".csv", ".parquet")


def annotate_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None,
    *,
    table: str | os.PathLike[str] | None = None,
    signatures: Mapping[str, Signature] | None = None,
    overwrite: bool = False,
    key_added: str = "tam",
    report: Report = silent,
    **choices: Any,
) -> FileSummary:
    """Annotate an h5ad file or zarr folder into a new one.

    Parameters
    ----------
    path
        The input; never changed.
    out
        The same with annotations, ``.h5ad`` or ``.zarr``; None if only a table is wanted.
    table
        The annotations alone, one row a cell: ``.csv`` or ``.parquet`` (extra ``tamannot[parquet]``).
    signatures
        Added to the bundled library; those of a bundled id replace it.
    overwrite
        Replace outputs that exist. ``out`` may be ``path`` only then.
    key_added
        Prefix of what is written.
    report
        Told the name of each stage as it begins.
    **choices
        ``layer``, ``gene_symbols``, ``species``, ``tissue``, ``compartment_key``, ``sample_key``,
        ``target_accuracy``, ``rng`` of `tl.annotate`.

    Returns
    -------
    What was found. Every output appears whole or not at all.

    Raises
    ------
    TamannotError
        The input cannot be read or used, or an output cannot be written.

    Examples
    --------
    >>> import tamannot as tam
    >>> tam.annotate_file("sample.h5ad", "annotated.h5ad", tissue="brain")  # doctest: +SKIP
    """
    source = Path(path)
    targets = _targets(out, table)
    for target in targets.values():
        check_target(target, source=source, overwrite=overwrite)
    report("reading file")
    adata = read_file(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TamannotWarning)  # the summary has them as notes
        run(adata, signatures, choices, steps=STEPS, key_added=key_added, copy=False, report=report)
    report("writing")
    with ExitStack() as stack:
        for kind, target in targets.items():
            _WRITERS[kind](adata, stack.enter_context(replacing(target)), key_added)
    return summarise(adata, source, key_added, tuple(map(str, targets.values())))


def _targets(out: str | os.PathLike[str] | None, table: str | os.PathLike[str] | None) -> dict[str, Path]:
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
    if ".parquet" in targets:
        _need_pyarrow()
    return targets


def _need_pyarrow() -> None:
    if find_spec("pyarrow") is None:
        msg = "Parquet tables need pyarrow:  pip install 'tamannot[parquet]'  (or write a .csv)."
        raise ParameterError(msg)


def _write_h5ad(adata: ad.AnnData, target: Path, _key: str) -> None:
    adata.write_h5ad(target, compression="gzip")


def _write_zarr(adata: ad.AnnData, target: Path, _key: str) -> None:
    adata.write_zarr(target)


def _write_csv(adata: ad.AnnData, target: Path, key: str) -> None:
    annotation_table(adata, key).to_csv(target, index_label="cell")


def _write_parquet(adata: ad.AnnData, target: Path, key: str) -> None:
    annotation_table(adata, key).rename_axis("cell").to_parquet(target)


_WRITERS: dict[str, Callable[[ad.AnnData, Path, str], None]] = {
    ".h5ad": _write_h5ad,
    ".zarr": _write_zarr,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
