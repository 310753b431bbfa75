"""zarr folders of both formats made wrong: metadata, chunks, and files that are not where they belong."""

import json
import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from _choices import Choices
from _fuzz import as_folder, instrumented, main, only_our_errors

instrumented("tamannot.data", "tamannot.data", "tamannot.io")

from tamannot.data import unpack
from tamannot.io._read import open_file, reading
from tamannot.io._write import write_annotated
from tamannot.signature import load_signatures

_LIBRARY = load_signatures(axis="state")
_VALUES = (
    *(None, True, 0, -1, 1, 3, 2**31, 2**40, 2**63, 1.5, 1e400, "", "x", "../X", "/etc/passwd", "|O", "<U4", "<f4"),
    *([], [0], [-1], [2**44], [1, 1], [[]], {}, {"id": "pickle"}, {"id": "zlib"}, "NaN", "csr_matrix", "array", "dict"),
)


def _files(zarr_format: int) -> dict[str, bytes]:
    """Return a small object as files: a sparse matrix, a dense layer, texts, categories, numbers."""
    obs = pd.DataFrame({"s": pd.Categorical(list("aabbab")), "n": np.arange(6.0)}, index=list("uvwxyz"))
    values = np.arange(30, dtype=np.float32).reshape(6, 5) % 4
    adata = ad.AnnData(sp.csr_matrix(values), obs=obs, uns={"x": {"y": "text"}}, layers={"dense": values})
    adata.var_names = ["SPP1", "GPNMB", "CD68", "IL1B", "FTL"]
    with tempfile.TemporaryDirectory() as name, ad.settings.override(zarr_write_format=zarr_format):
        adata.write_zarr(name)
        return {str(p.relative_to(name)): p.read_bytes() for p in sorted(Path(name).rglob("*")) if p.is_file()}


_FOLDERS = (_files(2), _files(3))


def seeds() -> list[bytes]:
    return [
        bytes(12),
        bytes([1, *[0] * 11]),
        *(bytes((i * k + 1) % 256 for i in range(40)) for k in (1, 3, 7, 11, 101)),
    ]


def one(data: bytes) -> None:
    choices = Choices(data)
    files = dict(choices.pick(_FOLDERS))
    while not choices.done():
        _spoil(files, choices)
    with as_folder(files, ".zarr") as path:
        with only_our_errors(), open_file(path) as adata:
            rows = unpack(adata, _LIBRARY, layer=choices.pick([None, "X", "dense"])).rows
            block = rows.block(0, rows.shape[0])
            if block.indices.size and not 0 <= block.indices.min() <= block.indices.max() < rows.shape[1]:
                msg = "indices beyond the matrix"
                raise AssertionError(msg)
        with only_our_errors():
            with open_file(path) as opened, reading(path):
                adata = opened.to_memory()
            with as_folder({}, ".out.zarr") as out:
                write_annotated(path, out, adata, ("tam",))


def _spoil(files: dict[str, bytes], choices: Choices) -> None:
    name = choices.pick(sorted(files) or ["zarr.json"])
    content = files.get(name, b"{}")
    way = choices.byte() % 8
    if way == 0:
        files.pop(name, None)
    elif way == 1:
        files[name] = content[: choices.byte()]
    elif way == 2:
        files[name] = files[choices.pick(sorted(files) or [name])] if files else b""
    elif way == 3:
        at = choices.byte() % (len(content) + 1)
        files[name] = (
            content[:at] + choices.text(20).encode("utf-8", "surrogateescape") + content[at + choices.byte() % 4 :]
        )
    elif way == 4 and content:
        at = choices.byte() % len(content)
        files[name] = content[:at] + bytes([content[at] ^ 1 << choices.byte() % 8]) + content[at + 1 :]
    else:
        _spoil_metadata(files, choices)


def _spoil_metadata(files: dict[str, bytes], choices: Choices) -> None:
    names = [n for n in sorted(files) if Path(n).name.startswith((".z", "zarr"))]
    name = choices.pick(names or ["zarr.json"])
    try:
        node = whole = json.loads(files.get(name, b"{}"))
    except ValueError:
        return
    while True:
        if not isinstance(node, dict | list) or not node:
            return
        key: Any = choices.pick(sorted(node) if isinstance(node, dict) else range(len(node)))
        if isinstance(node[key], dict | list) and node[key] and not choices.yes(4):
            node = node[key]
            continue
        if choices.yes(6) and isinstance(node, dict):
            del node[key]
        else:
            node[key] = choices.pick(_VALUES)
        break
    files[name] = json.dumps(whole).encode()


if __name__ == "__main__":
    main(one, seeds())
