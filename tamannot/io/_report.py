"""A report into a file, from an object in memory or from an annotated file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from anndata.io import read_elem
from numpy.typing import NDArray

from tamannot._progress import Progress, silent
from tamannot.data import LABELS, UNS, RunNames, RunRecord, check_adata, left_on_disk, row_source, slot
from tamannot.errors import OutputError, ParameterError, ResultNotFoundError, among
from tamannot.io._containers import Node
from tamannot.io._encodings import is_array, text
from tamannot.io._output import check_target, locked, replacing
from tamannot.io._read import open_root, reading
from tamannot.report import InMemory, Source, material_of, render, summarise

_SUFFIX = ".html"


def write_report(
    adata: AnnData,
    path: str | os.PathLike[str],
    *,
    key: str = "tam",
    sample_key: str | None = None,
    condition: str | None = None,
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write one HTML file about annotated cells that opens without a network.

    Four numbers, the cells on their embedding, what was found and what not to believe stand first; then input and
    quality, calls, states and origins by sample, ferroptosis programs, the analyses that were made (`tl.composition`
    and others), the evidence for typical cells, signatures with their sources, a paragraph for the methods of a paper,
    warnings and versions. Nothing is computed that `tl` has not computed, but counts and shares, and a UMAP of at most
    20,000 cells where ``obsm`` has no embedding. Up to 200,000 cells can be looked at one by one; pictures are drawn
    from at most 50,000, the same ones every time.

    Parameters
    ----------
    adata
        An annotated object; not changed.
    path
        The report, ``.html``.
    key
        The ``key_added`` of the run.
    sample_key
        Column of ``obs`` with the sample. None takes that of the annotation, if it had one.
    condition
        Column of ``obs`` with the condition, one value a sample, shown beside it. It needs the sample.
    title
        Heading; None says how many cells it is about.
    overwrite
        Replace a report that exists.

    Returns
    -------
    None. The file appears whole or not at all. Everything from ``adata`` is escaped: a name cannot become a script.

    Raises
    ------
    ResultNotFoundError
        The object is not annotated.
    ParameterError
        There is no such column, or the condition differs within a sample.
    OutputError
        The file exists, cannot be written, or its name does not end in ``.html``.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.write_report(adata, "report.html")  # doctest: +SKIP
    """
    target = _checked(Path(path), overwrite=overwrite)
    check_adata(adata)
    name = f"{adata.n_obs:,} cells"
    _write(InMemory(adata), target, name=name, key=key, sample_key=sample_key, condition=condition, title=title)


def report_file(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    key: str = "tam",
    sample_key: str | None = None,
    condition: str | None = None,
    title: str | None = None,
    overwrite: bool = False,
    report: Progress | None = None,
) -> None:
    """Write a report about an annotated file: what `write_report` does, without loading its matrices and tables.

    Parameters
    ----------
    path
        An annotated h5ad file or zarr folder; never changed.
    out
        The report, ``.html``.
    key, sample_key, condition, title, overwrite
        As in `write_report`; ``title`` None names the file.
    report
        Told the name of each stage as it begins.

    Raises
    ------
    InputFileError
        The file is absent, of another kind, or damaged.
    TamannotError
        As `write_report`.
    """
    source, report = Path(path), report or silent()
    target = _checked(Path(out), source=source, overwrite=overwrite)
    report("reading and plotting")
    with open_root(source) as root:
        cells = CellsOnDisk(root, source, key, (sample_key, condition))
        _write(cells, target, name=source.name, key=key, sample_key=sample_key, condition=condition, title=title)


def write_page(annotated: Path, page: Path, *, key: str, name: str) -> None:
    """Write the report about an annotated file whose place is not its own yet; ``name`` is what it is called.

    Raises
    ------
    TamannotError
        As `report_file`.
    """
    with open_root(annotated) as root:
        material = material_of(CellsOnDisk(root, annotated, key), name=name, key=key)
        page.write_text(render(summarise(material)), encoding="utf-8")


def _write(
    source: Source,
    target: Path,
    *,
    name: str,
    key: str,
    sample_key: str | None,
    condition: str | None,
    title: str | None,
) -> None:
    material = material_of(source, name=name, key=key, sample_key=sample_key, condition=condition)
    with locked(target):
        text = render(summarise(material, title=title))
        with replacing(target) as beside:
            beside.write_text(text, encoding="utf-8")


def _checked(target: Path, *, overwrite: bool, source: Path | None = None) -> Path:
    if target.suffix != _SUFFIX:
        msg = f"{target}: the name of a report must end in {_SUFFIX}."
        raise OutputError(msg)
    check_target(target, source=source, overwrite=overwrite)
    return target


Array = NDArray[Any]

# Rows that lie closer are read with what is between them.
_NEAR = 64
# Of a plane or of space: more columns are no embedding to draw.
_MOST_DIMENSIONS = 3


class CellsOnDisk:
    """Cells of an open file: labels of all, tables and matrix of those that are taken.

    Raises
    ------
    ResultNotFoundError
        The file has neither the record of such a run nor its labels.
    ParameterError
        A column is not there.
    """

    def __init__(self, root: Node, path: Path, key: str, columns: Iterable[str | None] = ()) -> None:
        self._root, self._path, self._key = root, path, key
        with reading(path):
            known = set(_columns(root["obs"]))
        self._run = _run_of(root, path, key)
        of_run = None if self._run is None else RunRecord(key, self._run).sample_key
        asked = {str(c) for c in columns if c is not None}
        if absent := sorted(asked - known):
            msg = f"{path}: no column '{absent[0]}' in obs.{among(absent[0], sorted(known))}"
            raise ParameterError(msg)
        self._columns = asked | ({of_run} if of_run is not None else set())

    @cached_property
    def cells(self) -> ad.AnnData:
        """All cells with the labels of the run; no matrices, no tables."""
        with reading(self._path):
            obs, names = self._root["obs"], RunNames(self._key)
            wanted = [c for c in _columns(obs) if names.wrote(c) or c in self._columns]
            table = pd.DataFrame({c: read_elem(obs[c]) for c in wanted}, index=read_elem(obs[_index(obs)]))
            return ad.AnnData(obs=table, var=self._var, uns=self._uns())

    def take(self, rows: Array, *, matrix: bool) -> ad.AnnData:
        """Return some cells, in order, with tables and embeddings, and the matrix of the run if asked."""
        cells = self.cells
        with reading(self._path):
            values = self._matrix(rows) if matrix else {}
            return ad.AnnData(obs=cells.obs.iloc[rows], var=self._var, uns=cells.uns, obsm=self._obsm(rows), **values)

    def _matrix(self, rows: Array) -> dict[str, Any]:
        """Return rows of the matrix that the run used; nothing where it is gone."""
        if self._run is None or "matrix" not in self._run:
            return {}
        name = RunRecord(self._key, self._run).matrix.name
        where = {"X": "X", "raw": "raw/X"}.get(name, f"layers/{name}")
        if where not in self._root or self._root[where].attrs.get("encoding-type") == "null":
            return {}
        values = self._rows(where, rows)
        if name == "raw":
            return {"raw": {"X": values, "var": read_elem(self._root["raw/var"])}}
        return {"X": values} if name == "X" else {"layers": {name: values}}

    @cached_property
    def _var(self) -> pd.DataFrame:
        return pd.DataFrame(read_elem(self._root["var"]))

    def _uns(self) -> dict[str, Any]:
        uns, names = self._root.get("uns", {}), RunNames(self._key)
        colors = {n: read_elem(uns[n]) for n in uns if names.owns(n) and n.endswith("_colors")}
        return {**colors, UNS: {} if self._run is None else {self._key: self._run}}

    def _obsm(self, rows: Array) -> dict[str, Any]:
        obsm, names = self._root.get("obsm", {}), RunNames(self._key)
        tables = {n: self._table(obsm[n], rows) for n in obsm if names.wrote(n) and not is_array(obsm[n])}
        return tables | {n: obsm[n][...][rows] for n in obsm if _is_embedding(obsm[n])}

    def _table(self, stored: Node, rows: Array) -> pd.DataFrame:
        """Return rows of a table column by column: no more than one column is in memory."""
        columns = {c: stored[c][...][rows] for c in _columns(stored)}
        return pd.DataFrame(columns, index=self.cells.obs_names[rows])

    def _rows(self, where: str, rows: Array) -> sp.csr_matrix:
        """Return rows of a matrix; those that lie near one another are read together."""
        source = row_source(left_on_disk(self._root[where]))
        blocks = []
        for chosen in _stretches(rows):
            start, stop = int(chosen[0]), int(chosen[-1]) + 1
            mask = np.zeros(stop - start, dtype=bool)
            mask[chosen - start] = True
            block = source.block(start, stop).only(mask)
            shape = (chosen.size, source.shape[1])
            blocks.append(sp.csr_array((block.values, block.indices, block.indptr), shape=shape))
        return sp.csr_matrix(sp.vstack(blocks)) if blocks else sp.csr_matrix(np.zeros((0, source.shape[1]), np.float32))


def _run_of(root: Node, path: Path, key: str) -> Mapping[str, Any] | None:
    """Return the record of a run as the file holds it; None where it was lost and the labels are there."""
    runs = root["uns"].get(UNS) if "uns" in root and not is_array(root["uns"]) else None
    if runs is not None and not is_array(runs) and key in runs:
        if is_array(runs[key]):
            msg = (
                f"{path}: uns['{UNS}']['{key}'] is not the record of a run. Run tamannot annotate {path} -o OUT again."
            )
            raise ResultNotFoundError(msg)
        return dict(read_elem(runs[key]))
    if any(slot(key, name) in _columns(root["obs"]) for name in LABELS):
        return None
    have = f" Available keys: {', '.join(runs)}." if runs is not None and not is_array(runs) and len(runs) else ""
    msg = f"{path}: no results under the key '{key}'.{have} Run tamannot annotate {path} -o OUT first."
    raise ResultNotFoundError(msg)


def _is_embedding(stored: Node) -> bool:
    return is_array(stored) and len(stored.shape) > 1 and int(stored.shape[1]) <= _MOST_DIMENSIONS


def _columns(frame: Node) -> list[str]:
    return [text(c) for c in frame.attrs["column-order"]]


def _index(frame: Node) -> str:
    return str(text(frame.attrs["_index"]))


def _stretches(rows: Array) -> Iterator[Array]:
    """Give out rows in groups of near neighbours."""
    ends = np.flatnonzero(np.diff(rows) > _NEAR) + 1
    yield from (part for part in np.split(rows, ends) if part.size)
