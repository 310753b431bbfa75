"""h5ad files made wrong: shapes, types, pointers and encodings that do not go together."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from _choices import FLOATS, Choices
from _fuzz import as_file, instrumented, main, only_our_errors

instrumented("tamannot.data", "tamannot.data", "tamannot.io")

from tamannot.data import unpack
from tamannot.io._read import open_file, reading
from tamannot.io._write import write_annotated
from tamannot.signature import load_signatures

_LIBRARY = load_signatures(axis="state")
_GENES = np.array(["SPP1", "GPNMB", "CD68", "IL1B", "FTL"], dtype=object)
_N, _G = 6, 5
_TYPES = ("f4", "f8", "i4", "i8", "u1", "i2", "u8", "f2", ">f4", ">i8", "?", "c8", "S4")
_ENCODINGS = (
    "csr_matrix",
    "csc_matrix",
    "array",
    "",
    "dataframe",
    "dict",
    "null",
    "raw",
    "string-array",
    "x",
    "categorical",
)
_PACKED: tuple[dict[str, Any], ...] = (
    {},
    {"compression": "gzip", "chunks": (3,)},
    {"compression": "lzf", "shuffle": True, "chunks": (4,)},
    {"chunks": (100,), "maxshape": (None,)},
    {"compression": "gzip", "fletcher32": True, "chunks": (2,)},
)


def seeds() -> list[bytes]:
    return [bytes(40), *(bytes((i * k) % 256 for i in range(90)) for k in (1, 3, 5, 7, 11, 101))]


def one(data: bytes) -> None:
    with as_file(b"", ".h5ad") as path:
        path.unlink()
        choices = Choices(data)
        try:
            _build(path, choices)
        except (TypeError, ValueError, OSError, KeyError, OverflowError, RuntimeError):  # HDF5 will not have it
            return
        with only_our_errors(), open_file(path) as adata:
            found = unpack(adata, _LIBRARY, layer=choices.pick([None, "X", "raw", "counts"]))
            block = found.rows.block(0, found.rows.shape[0])
            if block.indices.size and not 0 <= block.indices.min() <= block.indices.max() < found.rows.shape[1]:
                msg = "indices beyond the matrix"
                raise AssertionError(msg)
        with only_our_errors():
            with open_file(path) as opened, reading(path):
                adata = opened.to_memory()
            unpack(adata, _LIBRARY).rows.block(0, 2)
            out = path.with_name("out.h5ad")
            try:
                write_annotated(path, out, adata, ("tam",))
            finally:
                out.unlink(missing_ok=True)


def _build(path: Path, choices: Choices) -> None:
    with h5py.File(path, "w") as file:
        if not choices.yes(10):
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        _frame(file, "obs", np.array([f"c{i}" for i in range(_N)], dtype=object), choices)
        _frame(file, "var", _GENES, choices)
        _matrix(file, "X", choices)
        if choices.yes(3):
            _matrix(file, "layers/counts", choices)
        if choices.yes(4):
            _matrix(file, "raw/X", choices)
            _frame(file, "raw/var", _GENES, choices)
        if choices.yes(4):
            file["uns/x"] = choices.pick([1, 2.5, "a", b"\xff\xfe", np.zeros(0), np.array([b"\xff"]), h5py.Empty("f4")])
        if choices.yes(6):
            file[choices.pick(["obsm", "uns", "layers/x", "obs/x", "varm/x"])] = file[choices.pick(["X", "obs", "/"])]


def _frame(file: Any, name: str, index: Any, choices: Choices) -> None:
    if choices.yes(12):
        kind = np.dtype([("index", "S4"), ("x", choices.pick(_TYPES))])
        file[name] = np.zeros(choices.pick([len(index), 3, 0]), kind)
        return
    group = file.create_group(name)
    if choices.yes(6):
        index = choices.pick(
            [index[:3], index[:0], np.array([b"\xff"] * len(index)), np.arange(len(index)), index.reshape(-1, 1)]
        )
    group["_index"] = index
    group.attrs.update(
        {"encoding-type": "dataframe", "encoding-version": choices.pick(["0.2.0", "0.2.0", "0.1.0", "9"])}
    )
    group.attrs["_index"] = choices.pick(["_index"] * 6 + ["absent", "../X", "/etc"])
    columns: list[str] = []
    while choices.yes(3) and len(columns) < 3:
        columns.append(choices.pick(["a", "b\x1b[31m", "é", "tam_state", "_index"]))
        if columns[-1] not in group:
            _element(group, columns[-1], len(index), choices)
    order = np.array(columns, dtype=h5py.string_dtype()) if columns else np.array([], dtype="S1")
    group.attrs["column-order"] = choices.pick([order] * 6 + [np.array([1, 2]), "a", order[:1]])


def _element(group: Any, name: str, n: int, choices: Choices) -> None:
    if choices.yes(3):
        inner = group.create_group(name)
        inner["codes"] = np.array([choices.number() % 256 - 128 for _ in range(n)], "i1")
        inner["categories"] = choices.pick(
            [np.array(["p", "q"], dtype=object), np.arange(2), np.array([b"\xff", b"b"]), np.zeros(0)]
        )
        inner.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": choices.yes()})
        return
    group[name] = np.zeros(choices.pick([n, n, n, 2, 0]), choices.pick([*_TYPES, [("x", "f4"), ("y", "S3")]]))
    if choices.yes():
        group[name].attrs.update({"encoding-type": choices.pick(_ENCODINGS), "encoding-version": "0.2.0"})


def _matrix(file: Any, name: str, choices: Choices) -> None:
    if choices.yes(4):
        shape = choices.pick([(_N, _G), (_N, _G), (_G, _N), (_N,), (), (_N, _G, 1), (0, _G)])
        values = np.array([choices.fraction() for _ in range(_N * _G)])
        with np.errstate(all="ignore"):
            typed = np.resize(values, shape).astype(choices.pick(_TYPES))
        file[name] = typed
        if choices.yes():
            file[name].attrs.update({"encoding-type": choices.pick(_ENCODINGS), "encoding-version": "0.2.0"})
        return
    group = file.create_group(name)
    kind = choices.pick(["csr_matrix"] * 4 + ["csc_matrix"] * 3 + list(_ENCODINGS))
    group.attrs.update({"encoding-type": kind, "encoding-version": "0.1.0"})
    rows = _G if kind == "csc_matrix" else _N
    sizes = [choices.byte() % 4 for _ in range(rows)]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(choices.pick(["i8", "i4", "u8", "f8", "i2"]))
    indices = np.array([i for size in sizes for i in range(size)], dtype=choices.pick(["i4", "i8", "u4", "u1", "f4"]))
    data = np.array([choices.fraction() for _ in indices])
    with np.errstate(all="ignore"):
        data = data.astype(choices.pick(_TYPES))
    while choices.yes(3):
        _spoil(choices.pick([indptr, indices, data]), choices)
    cut = choices.pick([None] * 6 + [-1, 1])
    group.attrs["shape"] = choices.pick([(_N, _G)] * 8 + [(_N + 1, _G), (_N, 2), (-1, 5), (2**40, 2**40), (_N,), ()])
    parts = {"indptr": indptr, "indices": indices[:cut] if choices.yes() else indices, "data": data[:cut]}
    for part, values in parts.items():
        if not choices.yes(40):
            group.create_dataset(part, data=values, **(choices.pick(_PACKED) if values.size else {}))


def _spoil(values: Any, choices: Choices) -> None:
    if values.size and values.dtype.kind in "iuf":
        with np.errstate(all="ignore"):
            new = choices.pick(FLOATS) if values.dtype.kind == "f" else choices.number()
            values[choices.byte() % values.size] = np.asarray(new).astype(values.dtype)


if __name__ == "__main__":
    main(one, seeds())
