"""Reading h5ad and zarr, whole or without the matrices, with a plain word about what cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import anndata as ad
import h5py
import zarr

from tamannot._adata import without_matrices
from tamannot.errors import InputFileError, TamannotError
from tamannot.stream._guard import open_zarr
from tamannot.stream._links import check_links
from tamannot.stream._sizes import check_sizes

_SHOWN = 500
_CONVERT = {
    ".h5": "scanpy.read_10x_h5('{0}').write_h5ad('{1}')",
    ".loom": "anndata.io.read_loom('{0}').write_h5ad('{1}')",
    ".h5mu": "mudata.read('{0}').mod['rna'].write_h5ad('{1}')",
    ".rds": "in R: zellkonverter::writeH5AD(Seurat::as.SingleCellExperiment(readRDS('{0}')), '{1}')",
    ".h5seurat": "in R: SeuratDisk::Convert('{0}', dest='h5ad')",
    ".csv": "anndata.io.read_csv('{0}').write_h5ad('{1}')",
    ".mtx": "scanpy.read_10x_mtx('the folder of {0}').write_h5ad('{1}')",
}


def read_file(path: Path) -> ad.AnnData:
    """Read what `open_file` opens into memory.

    Raises
    ------
    InputFileError
        It is absent, of another kind (the message has the line that converts it), or damaged.
    """
    with open_file(path) as adata, reading(path):
        return adata.to_memory()


@contextmanager
def open_file(path: Path) -> Iterator[ad.AnnData]:
    """Open an h5ad file or a zarr folder, and leave its matrices on disk.

    Parameters
    ----------
    path
        The file; it is open, and its matrices can be read, inside the ``with``.

    Yields
    ------
    An AnnData with ``obs``, ``var`` and what runs wrote to ``uns`` in memory. ``X``, layers and the matrix of
    ``raw`` are datasets of the file, as are arrays of ``obsm`` and ``varm``, and sparse matrices anywhere; what is
    stored by pairs (``obsp``, ``varp``) and the rest of ``uns`` are left out.

    Raises
    ------
    InputFileError
        As `read_file`.
    """
    with open_root(path) as root:
        with reading(path):
            adata = without_matrices(root)
            _check_columns(adata)
        yield adata


@contextmanager
def open_root(path: Path) -> Iterator[h5py.File | zarr.Group]:
    """Open an h5ad file or a zarr folder, and read nothing.

    Raises
    ------
    InputFileError
        As `read_file`.
    """
    kind = _kind_of(path)
    with ExitStack() as stack:
        with reading(path):
            root = stack.enter_context(h5py.File(path, "r")) if kind == "h5ad" else open_zarr(path)
        yield root


def _kind_of(path: Path) -> Literal["h5ad", "zarr"]:
    """Return what a file is; whatever it is, nothing outside of it is read, and it does not fill the memory.

    Raises
    ------
    InputFileError
        It is absent, of another kind, has parts in other files, or unpacks to far more than it should.
    """
    if not _exists(path):
        msg = f"{path}: no such file."
        raise InputFileError(msg)
    suffix = path.suffix.lower()
    if suffix in _CONVERT:
        line = _CONVERT[suffix].format(path, path.with_suffix(".h5ad").name)
        msg = f"{path}: {suffix} files are not read. Convert it once:  {line}"
        raise InputFileError(msg)
    kind = _named_kind(path)
    if kind == "h5ad" and not (path.is_file() and h5py.is_hdf5(path)):  # a pipe would let one wait without end
        msg = f"{path}: not an HDF5 file, so no h5ad; it may be text, compressed, or an incomplete download."
        raise InputFileError(msg)
    check_links(path)
    check_sizes(path)
    return kind


def _named_kind(path: Path) -> Literal["h5ad", "zarr"]:
    return "zarr" if path.suffix.lower() == ".zarr" or path.is_dir() else "h5ad"


def _check_columns(adata: ad.AnnData) -> None:
    tables = {"obs": adata.obs, "var": adata.var} | ({"raw/var": adata.raw.var} if adata.raw is not None else {})
    for name, table in tables.items():
        if not table.columns.is_unique:
            twice = table.columns[table.columns.duplicated()][0]
            msg = f"{name} has the column '{twice}' more than once"
            raise ValueError(msg)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, a NUL in it, or in a folder that may not be read
        return False


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell what goes wrong with a file as `InputFileError`.

    Raises
    ------
    InputFileError
        It is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old encodings and repeated names: ours say what matters
            yield
    except TamannotError:
        raise
    except MemoryError as error:
        msg = f"{path}: does not fit into memory ({_reason(error)}). Use a machine with more, or a file of fewer cells."
        raise InputFileError(msg) from error
    except Exception as error:  # whatever h5py, zarr and anndata raise on a damaged file
        msg = f"{path}: cannot be read as {_named_kind(path)}; it is damaged, or no AnnData: {_reason(error)}"
        raise InputFileError(msg) from error


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0][:_SHOWN] if str(error) else type(error).__name__
