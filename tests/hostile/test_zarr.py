"""Zarr folders made wrong on purpose: nothing in them is run, nothing outside is read."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numcodecs
import numpy as np
import pytest
import zarr

import tamannot as tam
from tamannot.errors import InputFileError
from tamannot.io import check_file
from tamannot.io._read import open_file, reading

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


def read_file(path: Path) -> ad.AnnData:
    with open_file(path) as adata, reading(path):
        return adata.to_memory()


READERS = {"check": check_file, "open": lambda path: open_file(path).__enter__(), "read": read_file}


@pytest.fixture(params=list(READERS))
def read(request):
    return READERS[request.param]


def written(tiny, path: Path, version: int) -> Path:
    tiny.obs["depth"] = np.arange(12.0)
    with ad.settings.override(zarr_write_format=version):
        tiny.write_zarr(path)
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Good folders by their version, each written once."""
    return tmp_path_factory.mktemp("good")


@pytest.fixture(params=[2, 3])
def folder(request, tiny, tmp_path, good) -> Path:
    path = good / f"{request.param}.zarr"
    if not path.exists():
        written(tiny, path, request.param)
    return shutil.copytree(path, tmp_path / "in.zarr")


def metadata_of(array: Path) -> Path:
    return next(p for p in (array / ".zarray", array / "zarr.json") if p.exists())


def change(array: Path, edit) -> None:
    path = metadata_of(array)
    metadata = json.loads(path.read_text())
    edit(metadata)
    path.write_text(json.dumps(metadata))


def chunk_of(array: Path) -> Path:
    return next(p for p in array.rglob("*") if p.is_file() and p != metadata_of(array) and not p.name.startswith(".z"))


def test_good_folders_pass(folder, read):
    read(folder)


class Trap:
    """Runs when it is unpickled."""

    where = ""

    def __reduce__(self):
        return Path.touch, (Path(self.where),)


def test_no_pickle_is_run(folder, tmp_path, read, monkeypatch):
    trap = Trap()
    trap.where = str(tmp_path / "ran")
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    array = folder / "obs/depth"
    chunk_of(array).write_bytes(pickle.dumps(trap))
    if metadata_of(array).name == ".zarray":
        wrong = {
            "dtype": "|O",
            "compressor": None,
            "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}],
            "fill_value": None,
        }
        change(array, lambda m: m.update(wrong))
    else:
        change(array, lambda m: m.update(codecs=[{"name": "numcodecs.pickle", "configuration": {}}]))
    with pytest.raises(InputFileError, match=r"pickle.*may execute what it reads"):
        read(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../secret", "obs/../../secret", "/secret"])
def test_gathered_metadata_lead_nowhere(folder, tmp_path, read, name):
    """Whatever metadata at the root say, arrays are those in the folder."""
    secret = tmp_path / "secret"
    ad.AnnData(np.ones((12, 40), np.float32)).write_zarr(secret)
    found = folder / ".zmetadata"
    path = found if found.exists() else folder / "zarr.json"
    whole = json.loads(path.read_text())
    inner = (
        whole["metadata"]
        if found.exists()
        else whole.setdefault("consolidated_metadata", {}).setdefault("metadata", {})
    )
    for key, value in list(inner.items()):
        inner[key.replace("X", f"layers/{name}")] = value
    path.write_text(json.dumps(whole))
    adata = read(folder)
    assert not getattr(adata, "layers", None)


def test_a_link_to_another_folder_is_refused(folder, tmp_path, read):
    (tmp_path / "elsewhere").mkdir()
    (folder / "layers/far").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputFileError, match=r"layers/far is a symbolic link to .*elsewhere, outside the folder"):
        read(folder)


def test_a_shape_without_values_is_refused(folder, read):
    change(folder / "obs/depth", lambda m: m.update(shape=[1 << 44]))
    with pytest.raises(InputFileError, match=r"unpacks to more than .* obs/depth of shape"):
        read(folder)


def test_a_chunk_without_end_is_refused(folder, read):
    def edit(metadata):
        if "chunks" in metadata:
            metadata["chunks"] = [1 << 44]
        else:
            metadata["chunk_grid"]["configuration"]["chunk_shape"] = [1 << 44]

    change(folder / "obs/depth", edit)
    with pytest.raises(InputFileError, match="unpacks to more than"):
        read(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.pop("shape"),
        lambda m: m.update(shape=[-1]),
        lambda m: m.update(shape="x"),
        lambda m: m.update({"dtype": "O", "data_type": "object"}),
        lambda m: m.update(zarr_format=99),
        lambda m: m.update(chunks=[0], chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0]}}),
    ],
    ids=["no shape", "negative", "text", "objects", "version", "no chunk"],
)
def test_wrong_metadata_are_told_in_one_message(folder, run, edit):
    change(folder / "obs/depth", edit)
    code, out, err = run("check", folder)
    assert code == 2, out
    assert err.startswith("tamannot: ")
    assert err.count("\n") == 1
    with pytest.raises(InputFileError):
        tam.annotate_file(folder, folder.with_name("out.zarr"))
    assert [p.name for p in folder.parent.iterdir()] == ["in.zarr"]


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"null", b'{"zarr_format": 3}'])
def test_metadata_that_are_none_are_told(folder, read, content):
    metadata_of(folder / "obs/depth").write_bytes(content)
    with pytest.raises(InputFileError):
        read(folder)


_CHECK_EACH = """
import sys
from tamannot.cli import main
for path in sys.argv[1:]:
    sys.argv = ["tamannot", "check", path, "--quiet"]
    try:
        main()
    except SystemExit as stop:
        print(stop.code)
"""


def test_many_that_are_wrong_are_one_message(tiny, tmp_path):
    """Zarr reads metadata side by side; what is wrong with the others must not be shown as a traceback."""
    folders = [written(tiny, tmp_path / f"{version}.zarr", version) for version in (2, 3)]
    for folder in folders:
        for name in ("obs/depth", "X/data", "X/indices"):
            metadata_of(folder / name).write_bytes(b"{")
        for name in ("obs", "var"):
            metadata = next(p for p in (folder / name / ".zgroup", folder / name / "zarr.json") if p.exists())
            metadata.write_text('{"zarr_format": {"id": "x"}, "node_type": "group"}')
    done = subprocess.run(
        [sys.executable, "-c", _CHECK_EACH, *map(str, folders)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2", "2"]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert [line.partition(":")[0] for line in lines] == ["tamannot"] * 2, done.stderr


WORDS = [f"word {i}" for i in range(12)]


@pytest.fixture(params=[2, 3])
def texts(request, tiny, tmp_path):
    """Return an object with two arrays made by zarr itself, whose layout no version of anndata changes."""
    with ad.settings.override(zarr_write_format=request.param):
        tiny.write_zarr(tmp_path / "in.zarr")
    made = zarr.open_group(tmp_path / "in.zarr", mode="a", use_consolidated=False)["obs"]
    made.create_array("depth", shape=(12,), chunks=(12,), dtype="f8", compressors=None)[:] = np.arange(12.0)
    add_words(made)
    made["depth"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    made.attrs["column-order"] = ["depth", "words"]
    return tmp_path / "in.zarr"


def add_words(group, **how):
    array = group.create_array("words", **{"shape": (12,), "chunks": (12,), "dtype": str, **how})
    array[:] = np.array(WORDS, dtype=object)
    array.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def words_in(texts):
    return np.asarray(read_file(texts).obs["words"]).tolist()


def set_compressor(array, codec):
    path = next(p for p in (array / ".zarray", array / "zarr.json") if p.exists())
    metadata = json.loads(path.read_text())
    if path.name == ".zarray":
        metadata["compressor"] = codec
    else:
        metadata["codecs"] = [*metadata["codecs"][:1], {"name": codec["id"], "configuration": {}}]
    path.write_text(json.dumps(metadata))


def test_good_chunks_pass(texts):
    assert words_in(texts) == WORDS
    np.testing.assert_array_equal(read_file(texts).obs["depth"], np.arange(12.0))


def test_codecs_whose_chunks_say_how_large_an_array_is_made_are_not_used(texts):
    array = texts / "obs/depth"
    set_compressor(array, {"id": "json2"})
    with pytest.raises(InputFileError, match="uses the codec 'json2'"):
        read_file(texts)
