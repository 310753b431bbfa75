"""Chunks of zarr folders that say to hold more than there is: texts by the billion, frames without a size."""

from __future__ import annotations

import json

import anndata as ad
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from tamannot.errors import InputFileError
from tamannot.io._read import read_file
from tamannot.io._zarr import GuardedStore, most_in_zstd, packing_of, undone

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
MANY = (1 << 28).to_bytes(4, "little")


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


def first_chunk(array):
    return next(p for p in (array / "0", array / "c/0") if p.exists())


def set_compressor(array, codec):
    path = next(p for p in (array / ".zarray", array / "zarr.json") if p.exists())
    metadata = json.loads(path.read_text())
    if path.name == ".zarray":
        metadata["compressor"] = codec
    else:
        metadata["codecs"] = [*metadata["codecs"][:1], {"name": codec["id"], "configuration": {}}]
    path.write_text(json.dumps(metadata))


def frame_without_size(n_bytes):
    """Return a zstd frame of blocks that each are one byte many times over; RFC 8878."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0]) + bytes([0x58])  # no content size, a window of 2 MB
    n_blocks = n_bytes >> 17
    blocks = [((1 << 17) << 3 | 1 << 1 | (i == n_blocks - 1)).to_bytes(3, "little") + b"\0" for i in range(n_blocks)]
    return head + b"".join(blocks)


def test_good_chunks_pass(folder):
    assert words_in(folder) == WORDS
    np.testing.assert_array_equal(read_file(folder).obs["depth"], np.arange(12.0))


def test_more_texts_than_there_is_room_for_are_refused(folder):
    chunk = first_chunk(folder / "obs/words")
    around = packing_of(folder / "obs/words").around_texts
    assert around is not None
    inner = memoryview(chunk.read_bytes())
    for codec in around:
        inner = undone(codec, inner)
    content = MANY + bytes(inner[4:])
    for codec in reversed(around):
        content = numcodecs.get_codec(dict(codec)).encode(content)
    chunk.write_bytes(content)
    with pytest.raises(
        InputFileError, match=r"obs/words/.*0 is damaged: it says to hold 268,435,456 texts in \d+ bytes"
    ):
        read_file(folder)


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("folder", [3], indirect=True)
def test_texts_in_shards_are_counted_too(folder, location):
    obs = zarr.open_group(folder, mode="a", use_consolidated=False)["obs"]
    shards = {"shape": (15,), "index_location": location}
    add_words(obs, chunks=(5,), shards=shards, compressors=None, overwrite=True)
    assert words_in(folder) == WORDS
    array = folder / "obs/words"
    chunk, packing = first_chunk(array), packing_of(array)
    content = bytearray(chunk.read_bytes())
    pieces = list(packing.chunks_in(memoryview(bytes(content))))
    assert [int.from_bytes(p[:4], "little") for p in pieces] == [5, 5, 5]
    at = content.index(bytes(pieces[1]))
    content[at : at + 4] = MANY
    chunk.write_bytes(content)
    with pytest.raises(InputFileError, match="it says to hold 268,435,456 texts"):
        read_file(folder)


def test_a_frame_that_does_not_say_its_size_is_not_unpacked(folder):
    array = folder / "obs/depth"
    set_compressor(array, {"id": "zstd", "level": 1})
    first_chunk(array).write_bytes(frame_without_size(300 << 20))
    with pytest.raises(InputFileError, match=r"obs/depth/.*0: unpacks to more than"):
        read_file(folder)


def test_a_header_of_blosc_is_believed_whatever_its_size_says(folder):
    array = folder / "obs/depth"
    set_compressor(array, {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0})
    head = bytes([2, 1, 33, 8]) + b"".join(n.to_bytes(4, "little") for n in (1 << 30, 1 << 18, 999))
    first_chunk(array).write_bytes(head + bytes(100))
    with pytest.raises(InputFileError, match=r"obs/depth/.*0: unpacks to more than"):
        read_file(folder)


@pytest.mark.parametrize("n_bytes", [0, 1, 255, 256, 65_000, 66_000, 1 << 20])
def test_the_size_of_a_frame_is_read_as_zstd_does(n_bytes):
    frame = numcodecs.Zstd().encode(np.random.default_rng(0).integers(0, 9, n_bytes, dtype=np.uint8).tobytes())
    assert most_in_zstd(memoryview(frame)) == n_bytes


def test_blocks_hold_what_is_unpacked_at_most():
    frame = frame_without_size(4 << 20)
    assert most_in_zstd(memoryview(frame)) == 4 << 20
    try:
        unpacked = numcodecs.Zstd().decode(frame)
    except RuntimeError:
        pytest.skip("this numcodecs unpacks no frame without a size")
    assert len(unpacked) == 4 << 20


@pytest.mark.parametrize("content", [b"", b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd\0", b"\x28\xb5\x2f\xfd\0\0\xff"])
def test_a_frame_that_is_cut_off_holds_nothing(content):
    assert most_in_zstd(memoryview(content)) == 0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"codecs": 3}', b'{"codecs": [{"name": "sharding_indexed"}]}']
)
@pytest.mark.parametrize("name", [".zarray", "zarr.json"])
def test_metadata_that_are_none_say_nothing_of_the_packing(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert packing_of(tmp_path).codecs == ()


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
