"""A report into a file, from an object in memory or from an annotated file."""

from __future__ import annotations

import os
from pathlib import Path

from anndata import AnnData

from tamannot._progress import Progress, silent
from tamannot.data import check_adata
from tamannot.errors import OutputError
from tamannot.io._claim import claimed
from tamannot.io._input import open_root
from tamannot.io._on_disk import OnDisk
from tamannot.io._output import check_target, replacing
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
    report("reading and drawing")
    with open_root(source) as root:
        cells = OnDisk(root, source, key, (sample_key, condition))
        _write(cells, target, name=source.name, key=key, sample_key=sample_key, condition=condition, title=title)


def write_page(annotated: Path, page: Path, *, key: str, name: str) -> None:
    """Write the report about an annotated file whose place is not its own yet; ``name`` is what it is called.

    Raises
    ------
    TamannotError
        As `report_file`.
    """
    with open_root(annotated) as root:
        material = material_of(OnDisk(root, annotated, key), name=name, key=key)
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
    with claimed(target):
        text = render(summarise(material, title=title))
        with replacing(target) as beside:
            beside.write_text(text, encoding="utf-8")


def _checked(target: Path, *, overwrite: bool, source: Path | None = None) -> Path:
    if target.suffix != _SUFFIX:
        msg = f"{target}: the name of a report must end in {_SUFFIX}."
        raise OutputError(msg)
    check_target(target, source=source, overwrite=overwrite)
    return target
