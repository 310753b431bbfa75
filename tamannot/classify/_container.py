"""The container of model files: an ``.npz`` of plain arrays and one JSON text; read with suspicion, never run.

Every size is looked at before anything is read or allocated, and arrays of objects, which numpy stores as
pickles, are refused by their header.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from tamannot.classify._call import Array
from tamannot.errors import ModelFormatError, OutputError

FORMAT, SCHEMA_VERSION = "tamannot-model", 3
Meta = Mapping[str, Any]
Arrays = Mapping[str, Array]
Model = TypeVar("Model")

MAX_GENES = 100_000
_META = "meta"
_MAX_FILE, _MAX_CONTENT, _MAX_META, _MAX_MEMBERS = 256 << 20, 512 << 20, 32 << 20, 100
_ENSEMBL = re.compile(r"(ENS(MUS)?G[0-9]{11})?", re.ASCII)
# What zipfile, numpy and json raise; an unknown compression, a password, a text too deep are RuntimeErrors.
_BAD = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)


def write_file(path: Path, kind: str, meta: Meta, arrays: Arrays, *, overwrite: bool) -> None:
    """Write a model; a reader sees the old file or the whole new one, and equal models give equal bytes.

    Raises
    ------
    OutputError
        The name does not end in ``.npz``, the file exists and ``overwrite`` is not set, or it cannot be
        written; nothing is changed then.
    """
    check_model_target(path, overwrite=overwrite)
    content = {_META: np.frombuffer(text_of(kind, meta).encode(), np.uint8)}
    content |= {name: np.ascontiguousarray(v, "<f8") for name, v in arrays.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, **content)  # type: ignore[arg-type] # all numbers: allow_pickle has no part in it
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with beside.open("wb") as file:
                file.write(packed.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}. Nothing was changed."
        raise OutputError(msg) from error


def check_model_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a name that a model cannot be written to, before any work is done: raise an OutputError."""
    reasons = {
        f"{path}: the name of a model must end in .npz.": path.suffix != ".npz",
        f"{path}: there is no folder {path.parent}. Make it first.": not path.parent.is_dir(),
        f"{path} is a folder. Give the name of a file.": path.is_dir(),
        f"{path} exists. Give another name, or overwrite=True to replace it.": path.exists() and not overwrite,
    }
    if msg := next((reason for reason, holds in reasons.items() if holds), None):
        raise OutputError(msg)


def text_of(kind: str, meta: Meta) -> str:
    """Return the text of a model file."""
    whole = {**meta, "format": FORMAT, "schema_version": SCHEMA_VERSION, "kind": kind}
    return json.dumps(whole, sort_keys=True, allow_nan=False, ensure_ascii=False)


def read_file(path: Path, builders: Mapping[str, Callable[[Meta, Arrays], Model]]) -> Model:
    """Read a model file and look at everything in it.

    Parameters
    ----------
    path
        The file.
    builders
        By the kind of model, what looks at its content and returns it.

    Raises
    ------
    ModelFormatError
        It is absent, no model, damaged, too large, holds Python objects, is of another kind, or was made by an
        older or a newer release; the message names the file and the reason.
    """
    try:
        meta, arrays = _content(path)
        kind = str(meta.get("kind"))
        if kind not in builders:
            refuse(f"a model of the kind {kind[:50]!r}, not {' or '.join(builders)}.")
        return builders[kind](meta, arrays)
    except ModelFormatError as error:
        msg = f"{path}: {error}"
        raise ModelFormatError(msg) from error
    except _BAD as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        msg = f"{path}: cannot be read as a model, the file is damaged: {reason}"
        raise ModelFormatError(msg) from error


def check_members(arrays: Arrays, names: Sequence[str]) -> None:
    """Refuse arrays that are not those of a model."""
    if sorted(arrays) != sorted(names):
        refuse(f"not a model: it should hold {', '.join((_META, *names))}.")


def check_shapes(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse arrays of another shape, and numbers that are not finite."""
    for name, shape in shapes.items():
        check(arrays[name].shape == shape, f"'{name}' has the shape {shape}, not {arrays[name].shape}")
        check(bool(np.isfinite(arrays[name]).all()), f"'{name}' holds finite numbers")


def genes_of(meta: Meta) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the symbols and Ensembl ids of a model's genes."""
    symbols = texts(meta, "symbols", MAX_GENES, unique=True)
    ensembl = texts(meta, "ensembl", MAX_GENES, unique=False)
    check(len(symbols) >= 1 and all(symbols), "'symbols' are names of genes")
    known = [e for e in ensembl if e]
    check(len(ensembl) == len(symbols) and len(set(known)) == len(known), "'ensembl' has one id a gene, none twice")
    check(all(_ENSEMBL.fullmatch(e) for e in ensembl), "'ensembl' holds Ensembl gene ids")
    return symbols, ensembl


def texts(meta: Meta, name: str, limit: int, *, unique: bool) -> tuple[str, ...]:
    """Return a list of printable texts."""
    values = meta.get(name)
    if not isinstance(values, list) or not all(isinstance(v, str) and v == v.strip() for v in values):
        refuse(f"damaged: '{name}' is a list of texts.")
    check(len(values) <= limit, f"'{name}' has at most {limit:,} entries")
    check(all(v.isprintable() and len(v) <= 1000 for v in values), f"'{name}' holds printable texts")
    check(not unique or len(set(values)) == len(values), f"'{name}' has no entry twice")
    return tuple(values)


def number(meta: Meta, name: str, low: float, high: float) -> float:
    """Return a number between two others."""
    value = meta.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    check(good, f"'{name}' is a number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def check(good: bool, rule: str) -> None:
    """Refuse a file that breaks a rule."""
    if not good:
        refuse(f"damaged, or changed by hand: {rule}.")


def refuse(reason: str) -> NoReturn:
    """Refuse a file."""
    raise ModelFormatError(reason)


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    if not path.exists():
        refuse("no such file.")
    if not path.is_file():
        refuse("not a file.")
    if path.stat().st_size > _MAX_FILE:
        refuse(f"larger than {_MAX_FILE >> 20} MB, so no model.")
    if not zipfile.is_zipfile(path):
        refuse("not an .npz file: it is of another kind, or an incomplete download.")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = {m.filename for m in members}
        if f"{_META}.npy" not in names or len(names) < len(members) or len(members) > _MAX_MEMBERS:
            refuse(f"not a model: it should hold {_META} and the arrays of one.")
        if sum(m.file_size for m in members) > _MAX_CONTENT:
            refuse(f"unpacks to more than {_MAX_CONTENT >> 20} MB, so no model.")
        arrays = {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
    return _meta(arrays.pop(_META)), arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Read an array; its header is compared with the size of the file before anything is allocated."""
    with archive.open(member) as file:
        content = io.BytesIO(file.read(member.file_size))
    name = member.filename.removesuffix(".npy")
    if np.lib.format.read_magic(content) != (1, 0):
        refuse(f"'{name}' is stored in another way than models are.")
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(content)
    if dtype.hasobject:
        refuse(f"'{name}' holds Python objects (a pickle). Models hold numbers only; do not trust this file.")
    wanted = np.dtype(np.uint8) if name == _META else np.dtype("<f8")
    if dtype != wanted or in_columns:
        refuse(f"'{name}' holds {dtype}, not {wanted}.")
    raw = content.read()
    if math.prod(shape) * wanted.itemsize != len(raw):
        refuse(f"'{name}' is damaged: its size does not agree with its header.")
    values = np.frombuffer(raw, wanted).reshape(shape)
    return values if name == _META else values.astype(np.float64)


def _meta(content: Array) -> dict[str, Any]:
    if content.ndim != 1 or content.size > _MAX_META:
        refuse("'meta' is no text.")
    meta = json.loads(content.tobytes().decode(), parse_constant=_no_constant)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        refuse(f"not a model: 'meta' does not say {FORMAT}.")
    version = meta.get("schema_version")
    if type(version) is not int or version < 1:
        refuse(f"the schema version is a number from 1, not {str(version)[:50]!r}.")
    if version < SCHEMA_VERSION:
        refuse(
            "made by an older release of tamannot, which this one cannot use; train the model again with tl.train(...)."
        )
    if version > SCHEMA_VERSION:
        refuse(
            f"made by a newer release (schema {version}; this one reads {SCHEMA_VERSION}). Update tamannot, or train "
            "the model again."
        )
    return meta


def _no_constant(word: str) -> NoReturn:
    refuse(f"'meta' holds {word}.")
