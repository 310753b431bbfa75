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
from tamannot.errors import InputFileError

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
    """Read an h5ad file or a zarr folder into memory.

    Raises
    ------
    InputFileError
        It is absent, of another kind (the message has the line that converts it), or damaged.
    """
    kind = _kind_of(path)
    with reading(path):
        return (ad.read_h5ad if kind == "h5ad" else ad.read_zarr)(path)


@contextmanager
def open_file(path: Path) -> Iterator[ad.AnnData]:
    """Open an h5ad file or a zarr folder, and leave its matrices on disk.

    Parameters
    ----------
    path
        The file; it is open, and its matrices can be read, inside the ``with``.

    Yields
    ------
    An AnnData with ``obs``, ``var`` and ``uns`` in memory. ``X``, layers and the matrix of ``raw`` are
    datasets of the file, as are arrays of ``obsm`` and ``varm``, and sparse matrices anywhere; what is
    stored by pairs (``obsp``, ``varp``) is left out.

    Raises
    ------
    InputFileError
        As `read_file`.
    """
    with open_root(path) as root:
        with reading(path):
            adata = without_matrices(root)
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
            root = stack.enter_context(h5py.File(path, "r")) if kind == "h5ad" else zarr.open_group(path, mode="r")
        yield root


def _kind_of(path: Path) -> Literal["h5ad", "zarr"]:
    """Return what a file is.

    Raises
    ------
    InputFileError
        It is absent, or of another kind.
    """
    if not path.exists():
        msg = f"{path}: no such file."
        raise InputFileError(msg)
    suffix = path.suffix.lower()
    if suffix in _CONVERT:
        line = _CONVERT[suffix].format(path, path.with_suffix(".h5ad").name)
        msg = f"{path}: {suffix} files are not read. Convert it once:  {line}"
        raise InputFileError(msg)
    if suffix == ".zarr" or path.is_dir():
        return "zarr"
    if not h5py.is_hdf5(path):
        msg = f"{path}: not an HDF5 file, so no h5ad; it may be text, compressed, or an incomplete download."
        raise InputFileError(msg)
    return "h5ad"


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
    except (MemoryError, KeyboardInterrupt, InputFileError):
        raise
    except Exception as error:  # whatever h5py, zarr and anndata raise on a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"{path}: cannot be read as {_kind_of(path)}; it is damaged, or no AnnData: {reason}"
        raise InputFileError(msg) from error
