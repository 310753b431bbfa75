"""Chunks of zarr folders: the good ones are read, whichever way zarr reads them is guarded."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from tamannot.errors import InputFileError
from tamannot.io._read import read_file
from tamannot.io._safety import GuardedStore

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
WORDS = [f"word {i}" for i in range(12)]


@pytest.fixture(params=[2, 3])
def folder(request, tiny, tmp_path):
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


def words_in(folder):
    return np.asarray(read_file(folder).obs["words"]).tolist()


def set_compressor(array, codec):
    path = next(p for p in (array / ".zarray", array / "zarr.json") if p.exists())
    metadata = json.loads(path.read_text())
    if path.name == ".zarray":
        metadata["compressor"] = codec
    else:
        metadata["codecs"] = [*metadata["codecs"][:1], {"name": codec["id"], "configuration": {}}]
    path.write_text(json.dumps(metadata))


def test_good_chunks_pass(folder):
    assert words_in(folder) == WORDS
    np.testing.assert_array_equal(read_file(folder).obs["depth"], np.arange(12.0))


def test_every_way_that_zarr_reads_by_is_guarded():
    """A new version may bring another way round."""
    ways = {n for n in dir(LocalStore) if n.lstrip("_").startswith("get") and not n.startswith("__")}
    by_others = {"_get_many", "_get_bytes", "_get_bytes_sync", "_get_json", "_get_json_sync"}  # go through get
    about_sizes = {"getsize", "getsize_prefix"}
    assert ways - by_others - about_sizes <= {n for n in vars(GuardedStore) if n.startswith("get")}


def test_codecs_whose_chunks_say_how_large_an_array_is_made_are_not_used(folder):
    array = folder / "obs/depth"
    set_compressor(array, {"id": "json2"})
    with pytest.raises(InputFileError, match="asks for the codec 'json2'"):
        read_file(folder)
