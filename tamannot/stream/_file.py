"""Annotating a file into a new one."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tamannot._progress import Progress, silent
from tamannot.errors import TamannotWarning
from tamannot.get import annotations as annotation_table
from tamannot.signature import Signature
from tamannot.stream._input import read_file
from tamannot.stream._output import check_target
from tamannot.stream._summary import FileSummary, summarise
from tamannot.stream._targets import targets_of, write_targets
from tamannot.tl._run import STEPS, run


def annotate_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None,
    *,
    table: str | os.PathLike[str] | None = None,
    signatures: Mapping[str, Signature] | None = None,
    overwrite: bool = False,
    key_added: str = "tam",
    report: Progress | None = None,
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
        ``target_accuracy``, ``rng``, ``model`` of `tl.annotate`.

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
    targets = targets_of(out, table)
    for target in targets.values():
        check_target(target, source=source, overwrite=overwrite)
    report = report or silent()
    report("reading file")
    adata = read_file(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TamannotWarning)  # the summary has them as notes
        run(adata, signatures, choices, steps=STEPS, key_added=key_added, copy=False, report=report)
    report("writing")
    write_targets(targets, adata, lambda: annotation_table(adata, key_added))
    return summarise(adata, source, key_added, tuple(map(str, targets.values())))
