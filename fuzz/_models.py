"""Model files: as they are, and built anew from a text and edits of the arrays."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from _choices import FLOATS, Choices

Arrays = dict[str, np.ndarray]
_TYPES = ("<f8", "<f4", "<i8", "<c16", ">f8", "S3", "U2", "<M8[s]", "?", "O")
_CASTS = ("O", "<f4", ">f8", "<c16")


def built(data: bytes, arrays: Arrays) -> bytes:
    """Return a model file: raw bytes as they are; else the text up to a NUL, and arrays edited as the rest says."""
    if data.startswith(b"PK"):
        return data
    text, _, rest = data.partition(b"\0")
    choices, content = Choices(rest), dict(arrays)
    while not choices.done():
        name = choices.pick(sorted(content) or ["x"])
        _edit(content, name, choices)
    content["meta"] = np.frombuffer(text, np.uint8)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, values in content.items():
            body = io.BytesIO()
            np.save(body, values, allow_pickle=True)
            file.writestr(f"{name}.npy", body.getvalue())
    return out.getvalue()


def _edit(content: Arrays, name: str, choices: Choices) -> None:
    values = np.array(content.get(name, np.ones(3)))
    way = choices.byte() % 8
    if way == 0 and values.size and values.dtype.kind in "fc":
        values.flat[choices.byte() % values.size] = choices.pick(FLOATS)
    elif way == 1 and values.size and values.dtype.kind in "fic":
        values.flat[choices.byte() % values.size] = choices.byte() - 8
    elif way == 2:
        values = values.reshape(-1)[: choices.byte()]
    elif way == 3:
        values = values.reshape(choices.pick([(1, -1), (-1, 1), (-1,), (1, 1, -1)]))
    elif way == 4:
        values = values.T
    elif way == 5:
        content.pop(name, None)
        return
    elif way == 6:
        name = choices.pick(["x", "meta", "../x", "a/b", name.upper(), *sorted(content)])
    elif way == 7:
        kind = choices.pick(_TYPES)
        values = values.astype(kind) if kind in _CASTS and values.dtype.kind in "fiu" else np.zeros(values.shape, kind)
    content[name] = values


def seeds_of(whole: bytes) -> tuple[list[bytes], Arrays]:
    """Return the seeds that a good model file gives, and its arrays."""
    with np.load(io.BytesIO(whole)) as file:
        arrays = dict(file)
    text = arrays.pop("meta").tobytes()
    return [text, text + b"\0" + bytes(range(16)), text + b"\0" + bytes(range(99, 40, -1)), whole], arrays


def written(model: Any) -> bytes:
    """Return the bytes of a model file."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.npz"
        model.save(path)
        return path.read_bytes()
