"""The format of model files: an ``.npz`` of plain arrays and a JSON text, checked and never executed.

Every size is checked before anything is read or allocated, and arrays of objects, which numpy stores as
pickles, are refused by their header.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tamannot.errors import ModelFormatError, OutputError
from tamannot.scoring._features import Scale
from tamannot.scoring._njit import Array
from tamannot.signature._toml import write_whole

Meta = Mapping[str, Any]
Arrays = Mapping[str, Array]
Model = TypeVar("Model")
Fields = TypeVar("Fields", bound=BaseModel)

FORMAT, SCHEMA_VERSION = "tamannot-model", 3
_META = "meta"
_MAX_FILE, _MAX_CONTENT, _MAX_META, _MAX_MEMBERS = 256 << 20, 512 << 20, 32 << 20, 100
# What zipfile, numpy and json raise; an unknown compression, a password, a text too deep are RuntimeErrors.
_BAD = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)


class Kept:
    """A model that can be saved to a file."""

    kind: ClassVar[str]

    def _content(self) -> tuple[Meta, Arrays]:
        """Return the content of the model: JSON values, and arrays of float64."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """The sha256 of the content of the model; equal models have equal digests."""
        meta, arrays = self._content()
        found = hashlib.sha256(_text_of(self.kind, meta).encode())
        for name, values in sorted(arrays.items()):
            content = np.ascontiguousarray(values, "<f8")
            found.update(f"{name} {content.shape}".encode())
            found.update(content.tobytes())
        return found.hexdigest()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model to an ``.npz`` file of numbers and one JSON text; equal models give equal bytes.

        Parameters
        ----------
        path
            Must end in ``.npz``.
        overwrite
            Replace a file that exists.

        Returns
        -------
        None. The file is written completely or not at all.

        Raises
        ------
        OutputError
            The name does not end in ``.npz``, the file exists, or it cannot be written.
        """
        check_model_target(Path(path), overwrite=overwrite)
        meta, arrays = self._content()
        members = {_META: np.frombuffer(_text_of(self.kind, meta).encode(), np.uint8)}
        members |= {name: np.ascontiguousarray(v, "<f8") for name, v in arrays.items()}
        packed = io.BytesIO()
        np.savez_compressed(packed, **members)  # type: ignore[arg-type] # all numbers: allow_pickle has no part in it
        write_whole(Path(path), packed.getvalue())


def check_model_target(path: Path, *, overwrite: bool) -> None:
    """Raise an OutputError early if the model cannot be written to this name."""
    if path.suffix != ".npz":
        msg = f"{path}: the name of a model must end in .npz."
    elif not path.parent.is_dir():
        msg = f"{path}: no folder {path.parent}. Create it first."
    elif path.is_dir():
        msg = f"{path} is a folder. Pass the name of a file."
    elif path.exists() and not overwrite:
        msg = f"{path} already exists. Choose another name, or use overwrite=True to replace it."
    else:
        return
    raise OutputError(msg)


def read_file(path: Path, builders: Mapping[str, Callable[[Meta, Arrays], Model]]) -> Model:
    """Read and check a model file by the builder of its kind; a ModelFormatError has its name and the reason."""
    try:
        meta, arrays = _opened(path)
        kind = str(meta.get("kind"))
        if kind not in builders:
            refuse(f"a {kind[:50]!r} model, not {' or '.join(builders)}.")
        return builders[kind](meta, arrays)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    except _BAD as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise ModelFormatError(f"{path}: cannot be read as a model, the file is damaged: {reason}") from error


def checked(kind: type[Fields], meta: Meta) -> Fields:
    """Return the checked fields of a model; refuse the file at the first invalid field."""
    try:
        return kind.model_validate(meta)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        named = f"'{first['loc'][0]}': " if first["loc"] else ""
        refuse(f"damaged or edited: {named}{first['msg'].removeprefix('Value error, ')}.")


def check_arrays(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse arrays with unexpected names or shapes, or with values that are not finite."""
    if sorted(arrays) != sorted(shapes):
        refuse(f"not a model: it must contain {', '.join((_META, *shapes))}.")
    for name, shape in shapes.items():
        check(arrays[name].shape == shape, f"'{name}' must have the shape {shape}, not {arrays[name].shape}")
        check(bool(np.isfinite(arrays[name]).all()), f"'{name}' must be finite")


def check(good: bool, rule: str) -> None:
    """Refuse a file that breaks a rule."""
    if not good:
        refuse(f"damaged or edited: {rule}.")


def refuse(reason: str) -> NoReturn:
    """Refuse a file."""
    raise ModelFormatError(reason)


def _text_of(kind: str, meta: Meta) -> str:
    whole = {**meta, "format": FORMAT, "schema_version": SCHEMA_VERSION, "kind": kind}
    return json.dumps(whole, sort_keys=True, allow_nan=False, ensure_ascii=False)


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    if not path.exists():
        refuse("no such file.")
    if not path.is_file():
        refuse("not a file.")
    if path.stat().st_size > _MAX_FILE:
        refuse(f"larger than {_MAX_FILE >> 20} MB, so it is not a model.")
    if not zipfile.is_zipfile(path):
        refuse("not an .npz file: it has another format, or is an incomplete download.")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = {m.filename for m in members}
        if f"{_META}.npy" not in names or len(names) < len(members) or len(members) > _MAX_MEMBERS:
            refuse(f"not a model: it must contain {_META} and the arrays of a model.")
        if sum(m.file_size for m in members) > _MAX_CONTENT:
            refuse(f"unpacks to more than {_MAX_CONTENT >> 20} MB, so it is not a model.")
        arrays = {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
    content = arrays.pop(_META)
    if content.ndim != 1 or content.size > _MAX_META:
        refuse("'meta' is not text.")
    meta = json.loads(content.tobytes().decode(), parse_constant=lambda word: refuse(f"'meta' contains {word}."))
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        refuse(f"not a model: 'meta' does not name the format {FORMAT}.")
    version = meta.get("schema_version")
    if type(version) is not int or version < 1:
        refuse(f"the schema version must be an integer of at least 1, not {str(version)[:50]!r}.")
    if version < SCHEMA_VERSION:
        refuse("made by an older release of tamannot and no longer readable; train the model again with tl.train(...).")
    if version > SCHEMA_VERSION:
        refuse(
            f"made by a newer release (schema {version}; this release reads {SCHEMA_VERSION}). Update tamannot, or "
            "train the model again."
        )
    return meta, arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Read an array; its header is compared with the size of the file before anything is allocated."""
    with archive.open(member) as file:
        content = io.BytesIO(file.read(member.file_size))
    name = member.filename.removesuffix(".npy")
    if np.lib.format.read_magic(content) != (1, 0):
        refuse(f"'{name}' is not stored in the format of a model.")
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(content)
    if dtype.hasobject:
        refuse(f"'{name}' contains Python objects (a pickle). Models contain only numbers; do not trust this file.")
    wanted = np.dtype(np.uint8) if name == _META else np.dtype("<f8")
    if dtype != wanted or in_columns:
        refuse(f"'{name}' contains {dtype}, not {wanted}.")
    raw = content.read()
    if math.prod(shape) * wanted.itemsize != len(raw):
        refuse(f"'{name}' is damaged: its size does not agree with its header.")
    values = np.frombuffer(raw, wanted).reshape(shape)
    return values if name == _META else values.astype(np.float64)


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("should be printable, without spaces at either end")
    return text


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("has a duplicate entry")
    return values


Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
Names = Annotated[tuple[Text, ...], Field(max_length=100_000, strict=False), AfterValidator(_once)]
Share = Annotated[float, Field(ge=0, le=1)]
EnsemblId = Annotated[str, Field(pattern="^(ENS(MUS)?G[0-9]{11})?$")]


class ModelFields(BaseModel):
    """The fields that both kinds of models have."""

    model_config = ConfigDict(strict=True)
    symbols: Names
    ensembl: Annotated[tuple[EnsemblId, ...], Field(strict=False)]
    scale: Scale
    training: dict[str, Any]
    metrics: dict[str, Any]

    @model_validator(mode="after")
    def _genes_have_names(self) -> ModelFields:
        known = [e for e in self.ensembl if e]
        if not all(self.symbols) or len(self.ensembl) != len(self.symbols) or len(set(known)) < len(known):
            raise ValueError("each gene needs a symbol and one entry in 'ensembl', and ids must be unique")
        return self
