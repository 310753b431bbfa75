"""Reads h5ad and zarr without their matrices; of what is not AnnData it says what it is, and how to convert it."""

from __future__ import annotations

import os
import re
import shlex
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import h5py
import zarr
from anndata.io import read_elem

from tamannot.data import names_of_run, without_matrices
from tamannot.errors import InputFileError, TamannotError, some_of
from tamannot.io._output import first_line
from tamannot.io._safety import DAMAGED, check_links, check_sizes, open_zarr

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
                    raise ValueError(f"{name} has the column '{twice}' more than once")
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
        raise InputFileError(f"{path}: no such file.")
    # Nothing outside the file is read, and memory is not exhausted: links are checked before anything is opened.
    if path.is_file():
        check_links(path)
    with reading(path):
        problem = problem_of(path)
    if problem is not None:
        raise InputFileError(f"{path}: {problem}")
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
        raise InputFileError(
            f"{path}: does not fit into memory ({why}). Use a machine with more memory, or fewer cells."
        ) from error
    except Exception as error:  # whatever h5py, zarr and anndata raise on a damaged file
        kind, why = "zarr" if path.is_dir() else "h5ad", first_line(error)[:_SHOWN]
        what = f"it is damaged, or not an AnnData: {why}"
        if _NEWER.search(str(error)):
            here = " and ".join(f"{name} {version(name)}" for name in ("anndata", "zarr"))
            what = (
                f"it seems to be written by a newer version than the installed one ({here}): {why} "
                "Update with:  pip install -U anndata zarr"
            )
        raise InputFileError(f"{path}: cannot be read as {kind}; {what}") from error


_ZARR_MARKS = (".zgroup", "zarr.json", ".zarray")
_TEN_X_MATRIX = frozenset(("barcodes", "data", "indices", "indptr", "shape"))
# Features of 10x that are not genes. CellBender writes NA where it was not told.
_NOT_GENES = frozenset(("Peaks", "Antibody Capture", "CRISPR Guide Capture", "Multiplexing Capture", "Custom"))
# Of the names of features, in bytes.
_MOST_NAMES = 1 << 28
_PACKED = {".gz": "gunzip -k", ".bz2": "bunzip2 -k", ".xz": "unxz -k", ".zst": "unzstd"}
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_TABLES = {".csv": "", ".tsv": ", sep='\\t'", ".tab": ", sep='\\t'", ".txt": ", sep=r'\\s+'"}


def problem_of(path: Path) -> str | None:
    """Describe a path that holds no AnnData, and say how to convert it; damaged files pass: reading them tells."""
    if path.is_dir() and any((path / name).is_file() for name in _ZARR_MARKS):
        folders = _folders_in(path)
        if "mod" in folders:
            how = "Pass the folder of one modality: "
            return _mudata(_folders_in(path / "mod"), lambda name: f"{how} {path / 'mod' / name}")
        if "obs" in folders or "var" in folders:
            return None
        inner = next((n for n in ("tables", "table") if n in folders), None)
        if inner is not None and (tables := _folders_in(path / inner)):
            return f"a SpatialData folder. Pass one of its tables:  {path / inner / tables[0]}"
        held = some_of(folders) or "nothing"
        return f"cannot be read as zarr: not an AnnData. It contains {held}, but no obs and var."
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())
        if matrix := next((n for n in names if n.endswith(("matrix.mtx", "matrix.mtx.gz"))), None):
            return _ten_x_folder(path, matrix)
        inside = [n for n in names if n.endswith((".h5ad", ".zarr", ".h5"))]
        hint = f" Pass one of the files in it: {some_of(inside)}." if inside else ""
        return (
            "cannot be read as zarr: the folder has no zarr.json or .zgroup, so it is not a zarr store, and no "
            f"matrix.mtx, so it is not a 10x folder.{hint}"
        )
    if path.is_file() and h5py.is_hdf5(path):
        with suppress(*DAMAGED), h5py.File(path, "r") as file:
            return _in_hdf5(path, file)
        return None
    return _in_file(path)


def _in_hdf5(path: Path, file: h5py.File) -> str | None:
    names = set(file)
    if "mod" in names:
        opened = f"import anndata, h5py; anndata.io.read_elem(h5py.File({str(path)!r})"
        return _mudata(sorted(file["mod"]), lambda name: _converted(path, f"{opened}[{f'mod/{name}'!r}])"))
    if names & {"obs", "var"}:
        return None
    matrix = file.get("matrix")
    if isinstance(matrix, h5py.Dataset) and "row_attrs" in names:
        line = _converted(path, f"import anndata; anndata.io.read_loom({str(path)!r})")
        needs = "Conversion needs one more package: pip install loompy."
        return f"a loom file, which cannot be read directly. {needs} {line}"
    has_features = isinstance(matrix, h5py.Group) and "features" in matrix
    if has_features:  # of Cell Ranger 3 or later, of CellBender, or of a spatial run
        types, genomes = (_distinct(matrix["features"], name) for name in ("feature_type", "genome"))
        if types and set(types) <= _NOT_GENES:
            found = f"its features are {some_of(types)}"
            return f"a 10x matrix without gene expression: {found}. Use the file with the genes."
        options, is_named = "" if not types or "Gene Expression" in types else ", gex_only=False", len(genomes) > 1
    else:  # of Cell Ranger 2, which has a group for each genome
        groups = [name for name in sorted(names) if isinstance(file[name], h5py.Group)]
        genomes = [name for name in groups if set(file[name]) >= _TEN_X_MATRIX]
        options, is_named = "", len(names) > 1
    if has_features or genomes:
        choice = f", genome={genomes[0]!r}" if is_named else ""
        line = _converted(path, f"import scanpy; scanpy.read_10x_h5({str(path)!r}{choice}{options})")
        several = f"several genomes ({some_of(genomes)}): choose the one of your cells."
        hint = f" It has {several}" if len(genomes) > 1 else ""
        return f"a 10x matrix, which cannot be read directly.{hint} {line}"
    if names >= {"barcode_idx", "features"}:
        return "the molecules of a 10x run, not its cells. Use filtered_feature_bc_matrix.h5 from the same folder."
    if {"assays", "cell.names"} & names:
        line = f"SeuratDisk::Convert({_r(path)}, dest = 'h5ad')"
        return f"an h5Seurat file, which cannot be read directly. Convert it once, in R:  {line}"
    held = some_of(sorted(names)) or "nothing"
    return f"cannot be read as h5ad: an HDF5 file, but not an AnnData. It contains {held}, but no obs and var."


def _distinct(features: h5py.Group, name: str) -> list[str]:
    """Return the values of a column of features, of genes alone where that is known; empty if it is not there."""
    found = features.get(name)
    if not isinstance(found, h5py.Dataset) or not 0 < found.nbytes < _MOST_NAMES:
        return []
    values = found.asstr(errors="replace")[:]
    types = features.get("feature_type")
    if name != "feature_type" and isinstance(types, h5py.Dataset) and types.shape == found.shape:
        genes = types.asstr(errors="replace")[:] == "Gene Expression"
        values = values[genes] if genes.any() else values
    return sorted(set(map(str, values)))


def _mudata(names: Sequence[str], line: Callable[[str], str]) -> str:
    if not names:
        return "a MuData without modalities: there is nothing to annotate."
    name = next((n for n in names if n.lower() in ("rna", "gex", "gene expression")), names[0])
    return f"a MuData of {some_of(names)}, which cannot be read as a whole. {line(name)}"


def _folders_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def _ten_x_folder(folder: Path, matrix: str) -> str:
    """Return how to convert a 10x folder: scanpy needs all three files compressed, or, with genes.tsv, none."""
    names = {entry.name for entry in folder.iterdir()}
    prefix = matrix.removesuffix(".gz").removesuffix("matrix.mtx")
    plain = {n.removesuffix(".gz") for n in names}
    genes = next((n for n in ("features.tsv", "genes.tsv") if f"{prefix}{n}" in plain), None)
    lacking = [f"{prefix}{n}" for n in (genes or "features.tsv", "barcodes.tsv") if f"{prefix}{n}" not in plain]
    if lacking:
        return f"a matrix without its names: {' and '.join(lacking)} must be next to {matrix}. Add them, and try again."
    tool, wrong = ("gunzip", ".gz") if genes == "genes.tsv" else ("gzip", "")
    files = [f"{prefix}{n}{wrong}" for n in ("matrix.mtx", genes, "barcodes.tsv")]
    change = [shlex.quote(str(folder / name)) for name in files if name in names]
    first = f"First:  {tool} -k {' '.join(change)}  Then: " if change else ""
    option = f", prefix={prefix!r}" if prefix else ""
    name = folder.resolve() / (prefix.strip("_.-") or folder.resolve().name)
    line = _converted(name, f"import scanpy; scanpy.read_10x_mtx({str(folder)!r}{option})")
    return f"a 10x matrix of three files, which cannot be read directly. {first}{line}"


def _in_file(path: Path) -> str:
    """Describe a file that is not HDF5 by its first bytes, then by its name."""
    name = path.name.lower()
    if not path.is_file():
        return "not an HDF5 file, so not h5ad: it is a device or a pipe, not a regular file. Write it to a file first."
    if name.endswith(".rds"):
        read, to = f"readRDS({_r(path)})", _r(Path(path.with_suffix(".h5ad").name))
        return (
            "an R object, which cannot be read directly. Convert it once, in R, with "
            "BiocManager::install('zellkonverter'):  "
            f"zellkonverter::writeH5AD(Seurat::as.SingleCellExperiment({read}), {to})  if it is a "
            f"Seurat object, or, if it is a SingleCellExperiment:  zellkonverter::writeH5AD({read}, {to})"
        )
    if name.endswith((".rda", ".rdata")):
        return "objects of an R session, which cannot be read. In R, load() it, and saveRDS() the object with cells."
    with suppress(*DAMAGED, zipfile.BadZipFile):
        if zipfile.is_zipfile(path):
            return _in_zip(path)
    if name.endswith(_ARCHIVES):
        return f"an archive. Unpack it, and pass one of its files:  tar -xf {shlex.quote(str(path))}"
    packed = next((end for end in _PACKED if name.endswith(end)), "")
    bare = path.with_name(path.name[: len(path.name) - len(packed)])
    if bare.suffix.lower() in _TABLES:
        table = f"pandas.read_csv({str(path)!r}, index_col=0{_TABLES[bare.suffix.lower()]})"
        line = _converted(bare, f"import anndata, pandas; anndata.AnnData({table}.T)")
        return f"a table, which cannot be read directly. {line}  (without .T if its rows are cells, not genes)"
    if bare.suffix.lower() == ".mtx":
        if not bare.name.endswith("matrix.mtx"):
            return f"a matrix without names. Rename it to matrix.mtx{packed}, next to features.tsv and barcodes.tsv."
        return _ten_x_folder(path.parent, path.name)
    if packed:
        return f"compressed. Unpack it once, and pass {bare}:  {_PACKED[packed]} {shlex.quote(str(path))}"
    what = "it may be text, compressed, or an incomplete download."
    try:
        with path.open("rb") as file:
            start = file.read(200).lstrip().lower()
        if not start:
            what = "it is empty. Download or copy it again."
        elif start.startswith((b"<!doctype", b"<html", b"<?xml")):
            what = "it is a web page: the download went wrong. Download it again, and check its first lines."
        elif start.startswith(b"version https://git-lfs"):
            what = f"it is only a Git LFS pointer. Fetch the file:  git lfs pull --include {shlex.quote(path.name)}"
    except OSError as error:
        what = f"it cannot be read: {os.strerror(error.errno or 0)}."
    return f"not an HDF5 file, so not h5ad; {what}"


def _in_zip(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    bare = path.with_suffix("")
    # h5ad files and zarr folders; the empty name is the archive itself.
    inner = [name for name in names if name.endswith(".h5ad")]
    inner += [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in (".zgroup", "zarr.json")]
    if not inner:
        return f"a zip archive without a zarr folder or an h5ad. Unpack it:  unzip {shlex.quote(str(path))}"
    to = bare if bare.suffix == ".zarr" else bare.with_suffix(".zarr")
    into, given = (to, to) if "" in inner else (Path(), Path(min(inner, key=len)))
    unpacking = f"import shutil; shutil.unpack_archive({str(path)!r}, {str(into)!r}, 'zip')"
    return f"zipped, which cannot be read directly. Unpack it once, in Python, and pass {given}:  {unpacking}"


def _converted(path: Path, read: str) -> str:
    """Return the Python line that writes the object as h5ad into the current folder."""
    return f"Convert it once, in Python:  {read}.write_h5ad({path.with_suffix('.h5ad').name!r})"


def _r(path: Path) -> str:
    """Return a name as R reads it."""
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
