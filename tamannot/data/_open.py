"""An AnnData whose matrices stay in their file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
import zarr
from anndata import AnnData, read_h5ad
from anndata.experimental import read_dispatched
from anndata.io import read_elem, sparse_dataset

from tamannot.data._record import UNS

_ARRAYS = (h5py.Dataset, zarr.Array)
_NUMBERS = "fiub"


def without_matrices(root: h5py.File | zarr.Group) -> AnnData:
    """Return what an open file holds, and leave its matrices on disk, to be read while it is open.

    Tables of ``obsm`` and ``varm`` are there without their columns. What is stored by pairs is left out, and all of
    ``uns`` but what runs write: files with thousands of entries exist.
    """
    if isinstance(root["obs"], h5py.Dataset):
        return _of_before_0_7(root)
    parts = {key: read_elem(root[key]) for key in ("obs", "var") if key in root}
    parts |= {key: read_dispatched(root[key], _matrices_on_disk) for key in ("layers", "obsm", "varm") if key in root}
    if "uns" in root:
        of_runs = [name for name in root["uns"] if name == UNS or name.endswith("_colors")]
        parts["uns"] = {name: read_elem(root["uns"][name]) for name in of_runs}
    # A file may store that there is none.
    there = {name for name in ("X", "raw") if name in root and root[name].attrs.get("encoding-type") != "null"}
    if "X" in there:
        parts["X"] = left_on_disk(root["X"])
    if raw := "raw/" if "raw" in there else "raw." if "raw.X" in root else "":
        parts["raw"] = {"X": left_on_disk(root[f"{raw}X"]), "var": read_elem(root[f"{raw}var"])}
    return AnnData(**parts)


def left_on_disk(stored: Any) -> Any:
    """Return a matrix of a file, whose values stay there."""
    if isinstance(stored, _ARRAYS):
        return stored
    for part, kinds in (("data", ""), ("indices", "iu"), ("indptr", "iu")):
        found = stored.get(part)
        is_list = isinstance(found, _ARRAYS) and len(found.shape) == 1
        if not is_list or (kinds and getattr(found.dtype, "kind", "") not in kinds):
            raise ValueError(
                f"'{part}' of the sparse matrix {stored.name} is missing, or is not a list of numbers of the right type"
            )
    return sparse_dataset(stored)


def _matrices_on_disk(read: Callable[[Any], Any], _: str, stored: Any, iospec: Any) -> Any:
    if iospec.encoding_type == "dataframe":
        # What keeps its place: no run reads a table, and those of an annotated file are 2 KB a cell.
        index = stored[stored.attrs["_index"]]
        n_rows = (index if isinstance(index, _ARRAYS) else index["values"]).shape[0]
        return np.empty((n_rows, 0), np.float32)
    dense = isinstance(stored, _ARRAYS) and getattr(stored.dtype, "kind", "") in _NUMBERS
    sparse = iospec.encoding_type in ("csr_matrix", "csc_matrix") or "h5sparse_format" in stored.attrs
    return left_on_disk(stored) if dense or sparse else read(stored)


def _of_before_0_7(root: h5py.File) -> AnnData:
    """Return the same of a file of anndata before 0.7, whose tables only anndata itself can read."""
    rest = [key for key in root if key.partition(".")[0] not in ("X", "layers", "raw", "obsp", "varp")]
    adata = _read_some({key: root[key] for key in rest})
    parts: dict[str, Any] = {"X": left_on_disk(root["X"])} if "X" in root else {}
    if "raw.X" in root:
        var = _read_some({"obs": root["obs"], "var": root["raw.var"]}).var
        parts["raw"] = {"X": left_on_disk(root["raw.X"]), "var": var}
    if "layers" in root:
        parts["layers"] = read_dispatched(root["layers"], _matrices_on_disk)
    return AnnData(obs=adata.obs, var=adata.var, uns=adata.uns, obsm=adata.obsm, varm=adata.varm, **parts)


def _read_some(parts: Mapping[str, h5py.Group | h5py.Dataset]) -> AnnData:
    """Read a file that has these parts only, made in memory."""
    bytes_ = io.BytesIO()
    with h5py.File(bytes_, "w") as some:
        for key, stored in parts.items():
            stored.file.copy(stored, some, key)
    bytes_.seek(0)
    return read_h5ad(bytes_)
