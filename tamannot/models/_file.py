"""Model files: an ``.npz`` of plain arrays and one JSON text; read with suspicion, never run.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tamannot.errors import ModelFormatError, OutputError
from tamannot.models._call import Array
from tamannot.models._model import Calibration, Classifier, Familiar
from tamannot.models._scale import SCALES

FORMAT, SCHEMA_VERSION = "tamannot-model", 1

_ARRAYS = ("coef", "intercept", "centroids", "offset", "depth", "plain", "centred")
_META = "meta"
_MAX_FILE, _MAX_CONTENT, _MAX_META = 256 << 20, 512 << 20, 32 << 20
_MAX_CLASSES, _MAX_GENES, _MAX_KNOTS = 1000, 100_000, 1000
_ENSEMBL = re.compile(r"(ENS(MUS)?G[0-9]{11})?", re.ASCII)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,  # a way of compression that Python does not know
    OSError,
    RecursionError,
    RuntimeError,  # encrypted
    SyntaxError,
    TypeError,
    ValueError,
)


def write_model(model: Classifier, path: Path, *, overwrite: bool) -> None:
    """Write a model; a reader sees the old file or the whole new one, and equal models give equal bytes.

    Raises
    ------
    OutputError
        The name does not end in ``.npz``, the file exists and ``overwrite`` is not set, or it cannot be
        written; nothing is changed then.
    """
    check_model_target(path, overwrite=overwrite)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with beside.open("wb") as file:
                file.write(to_bytes(model))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}. Nothing was changed."
        raise OutputError(msg) from error


def check_model_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a name that a model cannot be written to, before any work is done.

    Raises
    ------
    OutputError
        As `write_model`.
    """
    if path.suffix != ".npz":
        msg = f"{path}: the name of a model must end in .npz."
        raise OutputError(msg)
    if not path.parent.is_dir():
        msg = f"{path}: there is no folder {path.parent}. Make it first."
        raise OutputError(msg)
    if path.is_dir():
        msg = f"{path} is a folder. Give the name of a file."
        raise OutputError(msg)
    if path.exists() and not overwrite:
        msg = f"{path} exists. Give another name, or --overwrite (overwrite=True) to replace it."
        raise OutputError(msg)


def to_bytes(model: Classifier) -> bytes:
    """Return the content of a model file."""
    meta = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "classes": list(model.classes),
        "symbols": list(model.symbols),
        "ensembl": list(model.ensembl),
        "scale": model.scale,
        "species": model.species,
        "labels": model.labels,
        "threshold": model.threshold,
        "slope": model.calibration.slope,
        "training": model.training,
        "metrics": model.metrics,
    }
    text = json.dumps(meta, sort_keys=True, allow_nan=False, ensure_ascii=False)
    arrays = {_META: np.frombuffer(text.encode(), np.uint8)}
    values = (
        model.coef,
        model.intercept,
        model.centroids,
        model.calibration.offset,
        model.familiar.depth,
        model.familiar.plain,
        model.familiar.centred,
    )
    arrays |= {name: np.ascontiguousarray(v, "<f8") for name, v in zip(_ARRAYS, values, strict=True)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def read_model(path: Path) -> Classifier:
    """Read a model file and look at everything in it.

    Raises
    ------
    ModelFormatError
        It is absent, no model, damaged, too large, holds Python objects, or was made by a newer release; the
        message names the file and the reason.
    """
    try:
        meta, arrays = _content(path)
        return _model(meta, arrays)
    except ModelFormatError as error:
        msg = f"{path}: {error}"
        raise ModelFormatError(msg) from error
    except _DAMAGED as error:
        msg = f"{path}: cannot be read as a model, the file is damaged: {_first_line(error)}"
        raise ModelFormatError(msg) from error


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    if not path.exists():
        _refuse("no such file.")
    if not path.is_file():
        _refuse("not a file.")
    if path.stat().st_size > _MAX_FILE:
        _refuse(f"larger than {_MAX_FILE >> 20} MB, so no model.")
    if not zipfile.is_zipfile(path):
        _refuse("not an .npz file: it is of another kind, or an incomplete download.")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = sorted(m.filename for m in members)
        if names != sorted(f"{name}.npy" for name in (_META, *_ARRAYS)):
            _refuse(f"not a model: it should hold {', '.join((_META, *_ARRAYS))}.")
        if sum(m.file_size for m in members) > _MAX_CONTENT:
            _refuse(f"unpacks to more than {_MAX_CONTENT >> 20} MB, so no model.")
        arrays = {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
    return _meta(arrays.pop(_META)), arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Read an array; its header is compared with the size of the file before anything is allocated."""
    with archive.open(member) as file:
        content = io.BytesIO(file.read(member.file_size))
    name = member.filename.removesuffix(".npy")
    if np.lib.format.read_magic(content) != (1, 0):
        _refuse(f"'{name}' is stored in another way than models are.")
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(content)
    if dtype.hasobject:
        _refuse(f"'{name}' holds Python objects (a pickle). Models hold numbers only; do not trust this file.")
    wanted = np.dtype(np.uint8) if name == _META else np.dtype("<f8")
    if dtype != wanted or in_columns:
        _refuse(f"'{name}' holds {dtype}, not {wanted}.")
    raw = content.read()
    if math.prod(shape) * wanted.itemsize != len(raw):
        _refuse(f"'{name}' is damaged: its size does not agree with its header.")
    values = np.frombuffer(raw, wanted).reshape(shape)
    return values if name == _META else values.astype(np.float64)


def _meta(content: Array) -> dict[str, Any]:
    if content.ndim != 1 or content.size > _MAX_META:
        _refuse("'meta' is no text.")
    meta = json.loads(content.tobytes().decode(), parse_constant=_no_constant)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        _refuse(f"not a model: 'meta' does not say {FORMAT}.")
    version = meta.get("schema_version")
    if type(version) is not int or version < 1:
        _refuse(f"the schema version is a number from 1, not {str(version)[:50]!r}.")
    if version > SCHEMA_VERSION:
        _refuse(
            f"made by a newer release (schema {version}; this one reads {SCHEMA_VERSION}). Update tamannot, or train "
            "the model again."
        )
    return meta


def _no_constant(word: str) -> NoReturn:
    _refuse(f"'meta' holds {word}.")


def _model(meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Classifier:
    classes = _texts(meta, "classes", _MAX_CLASSES, unique=True)
    symbols = _texts(meta, "symbols", _MAX_GENES, unique=True)
    ensembl = _texts(meta, "ensembl", _MAX_GENES, unique=False)
    _check(len(classes) >= 2 and "unassigned" not in classes, "'classes' are at least two, none of them unassigned")
    _check(len(symbols) >= 1 and all(symbols), "'symbols' are names of genes")
    known = [e for e in ensembl if e]
    _check(len(ensembl) == len(symbols) and len(set(known)) == len(known), "'ensembl' has one id a gene, none twice")
    _check(all(_ENSEMBL.fullmatch(e) for e in ensembl), "'ensembl' holds Ensembl gene ids")
    _check(meta.get("scale") in SCALES, f"'scale' is one of {', '.join(SCALES)}")
    _check(meta.get("species") in ("human", "mouse", "unknown"), "'species' is human, mouse or unknown")
    _check(isinstance(meta.get("labels"), str), "'labels' is a text")
    _check(isinstance(meta.get("training"), dict), "'training' is a table")
    _check(isinstance(meta.get("metrics"), dict), "'metrics' is a table")
    _check_arrays(arrays, len(classes), len(symbols))
    return Classifier(
        classes=classes,
        symbols=symbols,
        ensembl=ensembl,
        coef=arrays["coef"],
        intercept=arrays["intercept"],
        centroids=arrays["centroids"],
        calibration=Calibration(_number(meta, "slope", -1e6, 1e6), arrays["offset"]),
        familiar=Familiar(arrays["depth"], arrays["plain"], arrays["centred"]),
        threshold=None if meta.get("threshold") is None else _number(meta, "threshold", 0, 1),
        scale=meta["scale"],
        species=meta["species"],
        labels=meta["labels"],
        training=meta["training"],
        metrics=meta["metrics"],
    )


def _check_arrays(arrays: Mapping[str, Array], n_classes: int, n_genes: int) -> None:
    n_knots = arrays["depth"].size
    _check(1 <= n_knots <= _MAX_KNOTS, f"'depth' has 1 to {_MAX_KNOTS} numbers")
    shapes = {"coef": (n_classes, n_genes), "centroids": (n_classes, n_genes)}
    shapes |= dict.fromkeys(("intercept", "offset"), (n_classes,)) | dict.fromkeys(  # type: ignore[arg-type]
        ("depth", "plain", "centred"), (n_knots,)
    )
    for name, shape in shapes.items():
        _check(arrays[name].shape == shape, f"'{name}' has the shape {shape}, not {arrays[name].shape}")
        _check(bool(np.isfinite(arrays[name]).all()), f"'{name}' holds finite numbers")
    _check(bool((np.diff(arrays["depth"]) > 0).all()), "'depth' rises")


def _texts(meta: Mapping[str, Any], name: str, limit: int, *, unique: bool) -> tuple[str, ...]:
    values = meta.get(name)
    if not isinstance(values, list) or not all(isinstance(v, str) and v == v.strip() for v in values):
        _refuse(f"damaged: '{name}' is a list of texts.")
    _check(len(values) <= limit, f"'{name}' has at most {limit:,} entries")
    _check(all(v.isprintable() and len(v) <= 1000 for v in values), f"'{name}' holds printable texts")
    _check(not unique or len(set(values)) == len(values), f"'{name}' has no entry twice")
    return tuple(values)


def _number(meta: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = meta.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    _check(good, f"'{name}' is a number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def _check(good: bool, rule: str) -> None:
    if not good:
        _refuse(f"damaged, or changed by hand: {rule}.")


def _refuse(reason: str) -> NoReturn:
    raise ModelFormatError(reason)


def _first_line(error: BaseException) -> str:
    words = str(error.args[-1]) if error.args else type(error).__name__
    return words.splitlines()[0][:200] if words else type(error).__name__
