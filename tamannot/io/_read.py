"""Reads h5ad and zarr, completely or without the matrices, with clear errors for files that cannot be read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import h5py
import zarr
from anndata.io import read_elem

from tamannot.data import names_of_run, without_matrices
from tamannot.errors import InputFileError, TamannotError
from tamannot.io._foreign import problem_of
from tamannot.io._output import first_line
from tamannot.io._safety import check_links, check_sizes, open_zarr

_SHOWN = 500
# Bytes of unpacked chunks that HDF5 keeps of each data set: blocks of rows begin and end within chunks.
_CHUNK_CACHE = 24 << 20
# What anndata and zarr say of a file in a format that they do not know yet.
_NEWER = re.compile(
    r"No read method registered|unknown codec|codec not available|No Zarr data type|Invalid zarr_format|Unknown chunk"
    r"|disallowed extra fields",
    re.IGNORECASE,
)


@contextmanager
def open_file(path: Path, *, key: str | None = None) -> Iterator[ad.AnnData]:
    """Open an h5ad file or a zarr folder, and leave its matrices on disk, readable inside the ``with`` block.

    With a ``key``, the tables of ``obsm`` that a run under it wrote are read, too; see `without_matrices` for the rest.
    Whatever is wrong with the file is an `InputFileError`; for another format it has the line that converts it.
    """
    with open_root(path) as root:
        with reading(path):
            adata = without_matrices(root)
            tables = {"obs": adata.obs, "var": adata.var} | ({} if adata.raw is None else {"raw/var": adata.raw.var})
            for name, table in tables.items():
                if not table.columns.is_unique:
                    twice = table.columns[table.columns.duplicated()][0]
                    msg = f"{name} has the column '{twice}' more than once"
                    raise ValueError(msg)
            names = None if key is None else names_of_run(adata, key)
            for name in (n for n in adata.obsm if names is not None and names.wrote(n)):
                adata.obsm[name] = read_elem(root["obsm"][name])
        yield adata


@contextmanager
def open_root(path: Path) -> Iterator[h5py.File | zarr.Group]:
    """Open an h5ad file or a zarr folder without reading it; it raises as `open_file`."""
    try:
        exists = path.exists()
    except (OSError, ValueError):  # too long for a name, a NUL in it, or in a folder that may not be read
        exists = False
    if not exists:
        msg = f"{path}: no such file."
        raise InputFileError(msg)
    # Nothing outside the file is read, and memory is not exhausted: links are checked before anything is opened.
    if path.is_file():
        check_links(path)
    with reading(path):
        problem = problem_of(path)
    if problem is not None:
        msg = f"{path}: {problem}"
        raise InputFileError(msg)
    if path.is_dir():
        check_links(path)
    check_sizes(path)
    with ExitStack() as stack:
        with reading(path):
            if path.is_dir():
                root = open_zarr(path)
            else:
                root = stack.enter_context(h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE))
        yield root


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise errors of a file as `InputFileError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old encodings and repeated names: ours say what matters
            yield
    except TamannotError:
        raise
    except MemoryError as error:
        why = first_line(error)[:_SHOWN]
        msg = f"{path}: does not fit into memory ({why}). Use a machine with more memory, or fewer cells."
        raise InputFileError(msg) from error
    except Exception as error:  # whatever h5py, zarr and anndata raise on a damaged file
        kind, why = "zarr" if path.is_dir() else "h5ad", first_line(error)[:_SHOWN]
        what = f"it is damaged, or not an AnnData: {why}"
        if _NEWER.search(str(error)):
            here = " and ".join(f"{name} {version(name)}" for name in ("anndata", "zarr"))
            what = (
                f"it seems to be written by a newer version than the installed one ({here}): {why} "
                "Update with:  pip install -U anndata zarr"
            )
        msg = f"{path}: cannot be read as {kind}; {what}"
        raise InputFileError(msg) from error
