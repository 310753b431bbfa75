"""Writes a report, from an object in memory or from an annotated file."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from tamannot._progress import Progress, silent
from tamannot.data import RunNames, check_adata, read_record, row_source, without_matrices
from tamannot.errors import OutputError, ParameterError, ResultNotFoundError
from tamannot.io._containers import Node
from tamannot.io._output import check_target, locked, place_of, replacing
from tamannot.io._read import open_root, reading
from tamannot.io._write import is_array, text
from tamannot.report import Material, is_export, material_of, render, summarise
from tamannot.report import export as export_to
from tamannot.scoring._njit import Array

# Rows that lie closer are read with what is between them.
_NEAR = 64
# Two or three dimensions: other tables are not plotted as embeddings.
_MOST_DIMENSIONS = 3


def write_report(
    adata: AnnData,
    path: str | os.PathLike[str],
    *,
    key: str = "tam",
    sample_key: str | None = None,
    condition: str | None = None,
    title: str | None = None,
    export: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a report on annotated cells as a single HTML file that opens without a network.

    The report starts with four numbers, the cells on their embedding, findings and caveats. Then follow input and
    quality, calls, states and origins by sample, ferroptosis programs, the analyses that were run (`tl.composition`
    and others), the evidence for typical cells, signatures with their sources, a methods paragraph, warnings and
    versions. The report computes only counts and shares, and a UMAP of at most 20,000 cells if ``obsm`` has no
    embedding. Up to 200,000 cells can be inspected one by one; figures show at most 50,000, the same ones every time.

    Parameters
    ----------
    adata
        An annotated object; it is not changed.
    path
        The report, ``.html``.
    key
        The ``key_added`` of the run.
    sample_key
        Column of ``obs`` with the sample. None uses that of the annotation, if there was one.
    condition
        Column of ``obs`` with the condition, one value per sample. It needs the sample.
    title
        Heading; None states the number of cells.
    export
        Folder for the figures (``.svg``), the tables (``.tsv``, all rows and columns), ``contents.tsv``, which lists
        them with their titles and notes, and ``tables.xlsx`` with all tables. Without openpyxl (extra
        ``tamannot[excel]``) a warning says that the workbook was not written.
    overwrite
        Replace an existing report and export. A folder with other files is never replaced.

    Returns
    -------
    None. File and folder are written completely or not at all. Text from ``adata`` is escaped: it cannot run scripts.

    Raises
    ------
    ResultNotFoundError
        The object is not annotated.
    ParameterError
        A column is missing, or the condition varies within a sample.
    OutputError
        File or folder exists, cannot be written, or the name of the report does not end in ``.html``.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.write_report(adata, "report.html")  # doctest: +SKIP
    """
    targets = _checked(Path(path), export, overwrite=overwrite)
    check_adata(adata)
    name = f"{adata.n_obs:,} cells"
    material = material_of(adata, name=name, key=key, sample_key=sample_key, condition=condition)
    _write(material, title, *targets)


def report_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    key: str = "tam",
    title: str | None = None,
    export: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    report: Progress | None = None,
    **columns: str | None,
) -> None:
    """Write a report on an annotated file as `write_report` does, without loading its matrices and tables.

    With ``title`` None the heading names the file. ``columns`` are ``sample_key`` and ``condition``.
    """
    source, report = Path(path), report or silent()
    targets = _checked(Path(out), export, source=source, overwrite=overwrite)
    report("reading and plotting")
    with open_root(source) as root:
        cells = CellsOnDisk(root, source, key)
        try:
            material = material_of(cells.cells, name=source.name, key=key, from_file=cells.take, **columns)
        except (ParameterError, ResultNotFoundError) as error:
            raise type(error)(f"{source}: {error}") from error
        _write(material, title, *targets)


def write_page(annotated: Path, page: Path, *, key: str, name: str) -> None:
    """Write the report on an annotated file at a temporary path; ``name`` is its final name."""
    with open_root(annotated) as root:
        cells = CellsOnDisk(root, annotated, key)
        material = material_of(cells.cells, name=name, key=key, from_file=cells.take)
        page.write_text(render(summarise(material)), encoding="utf-8")


def _write(material: Material, title: str | None, target: Path, folder: Path | None) -> None:
    with locked(target), nullcontext() if folder is None else locked(folder):
        content = summarise(replace(material, svg=folder is not None), title=title)
        text = render(content)
        with replacing(target) as page:
            page.write_text(text, encoding="utf-8")
            if folder is not None:
                with replacing(folder) as beside:
                    beside.mkdir()
                    export_to(content, beside)


def _checked(
    target: Path, export: str | os.PathLike[str] | None, *, overwrite: bool, source: Path | None = None
) -> tuple[Path, Path | None]:
    """Return the paths of report and export if they can be written."""
    if target.suffix != ".html":
        raise OutputError(f"{target}: the name of a report must end in .html.")
    check_target(target, source=source, overwrite=overwrite)
    if export is None:
        return target, None
    folder = Path(export)
    check_target(folder, source=source, overwrite=overwrite, folder=True)
    if place_of(folder) in (place_of(target), *place_of(target).parents):
        raise OutputError(f"{folder} contains the report {target}. Choose a folder beside it.")
    if folder.is_dir() and not is_export(folder):
        raise OutputError(f"{folder} has files that no export wrote, so it is not replaced. Choose another folder.")
    return target, folder


class CellsOnDisk:
    """Cells of an open file: labels of all cells, tables and matrix of selected cells."""

    def __init__(self, root: Node, path: Path, key: str) -> None:
        self._root, self._path, self._key = root, path, key
        with reading(path):
            self._whole = without_matrices(root)
        self.cells = AnnData(obs=self._whole.obs, var=self._whole.var, uns=self._whole.uns)

    def take(self, rows: Array, *, matrix: bool) -> AnnData:
        """Return some cells, in order, with tables and embeddings, and the matrix of the run if asked."""
        cells, tables, obsm = self.cells, self._root.get("obsm", {}), dict[str, Any]()
        with reading(self._path):
            for name in tables:
                stored = tables[name]
                if is_array(stored):
                    if len(stored.shape) > 1 and int(stored.shape[1]) <= _MOST_DIMENSIONS:
                        obsm[name] = stored[...][rows]
                elif RunNames(self._key).wrote(name):  # no more than one column is in memory
                    names = map(text, stored.attrs["column-order"])
                    obsm[name] = pd.DataFrame({c: stored[c][...][rows] for c in names}, index=cells.obs_names[rows])
            values = self._matrix(rows) if matrix else {}
            return AnnData(obs=cells.obs.iloc[rows], var=cells.var, uns=cells.uns, obsm=obsm, **values)

    def _matrix(self, rows: Array) -> dict[str, Any]:
        """Return rows of the matrix that the run used, nearby rows read together; nothing if it is missing."""
        run, whole = read_record(self.cells, self._key), self._whole
        name = run.matrix.name if run.has("matrix") else ""
        stored = {**whole.layers, "X": whole.X, "raw": whole.raw and whole.raw.X}.get(name)
        if stored is None:
            return {}
        source = row_source(stored)
        blocks: list[Any] = [sp.csr_array((0, source.shape[1]), dtype=np.float32)]
        for chosen in np.split(rows, np.flatnonzero(np.diff(rows) > _NEAR) + 1) if rows.size else ():
            start, stop = int(chosen[0]), int(chosen[-1]) + 1
            blocks.append(source.block(start, stop).matrix(source.shape[1])[chosen - start])
        values = sp.csr_matrix(sp.vstack(blocks))
        if name == "raw":
            return {"raw": {"X": values, "var": whole.raw.var}}
        return {"X": values} if name == "X" else {"layers": {name: values}}
