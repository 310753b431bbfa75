"""h5ad files made wrong on purpose: one message of the reason, and nothing else happens."""

from __future__ import annotations

import os
import sys
import zlib
from functools import cache
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import zarr

import tamannot as tam
from tamannot.data import unpack, write_record
from tamannot.errors import InputFileError, TamannotError
from tamannot.io import check_file, score_file
from tamannot.io._read import open_file, reading
from tamannot.io._write import UnwritableError, convert, write_annotated, write_value

H5AD = pytest.mark.filterwarnings("ignore::Warning")


def read_file(path):
    with open_file(path) as adata, reading(path):
        return adata.to_memory()


READERS = {"check": check_file, "open": lambda path: open_file(path).__enter__(), "read": read_file}


@pytest.fixture(params=list(READERS))
def read(request):
    return READERS[request.param]


def external_link(file: h5py.File, other: Path) -> None:
    file["uns/far"] = h5py.ExternalLink(other, "/X")


def external_values(file: h5py.File, other: Path) -> None:
    file.create_dataset("obs/far", shape=(12,), dtype="i1", external=[(other, 0, 12)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(shape=(12,), dtype="i1")
    layout[:] = h5py.VirtualSource(other, "x", shape=(12,))
    file.create_virtual_dataset("uns/far", layout)


def soft_to_external(file: h5py.File, other: Path) -> None:
    file["uns/door"] = h5py.ExternalLink(other, "/")
    file["layers/far"] = h5py.SoftLink("/uns/door/X")


def behind_what_cannot_be_opened(file: h5py.File, other: Path) -> None:
    file["layers/a"] = h5py.SoftLink("/nowhere")
    file["layers/b"] = h5py.ExternalLink(other, "/X")


def behind_many_groups(file: h5py.File, other: Path) -> None:
    deepest = file["uns"]
    for _ in range(40):
        deepest = deepest.create_group("g")
    deepest["z"] = h5py.ExternalLink(other, "/X")


@H5AD
@pytest.mark.parametrize(
    "way",
    [external_link, external_values, virtual, soft_to_external, behind_what_cannot_be_opened, behind_many_groups],
    ids=lambda way: way.__name__,
)
def test_no_other_file_is_read(source, tmp_path, read, way):
    other = tmp_path / "secret"
    other.write_bytes(b"secret" * 100)
    os.utime(other, (0, 0))
    with h5py.File(source, "a") as file:
        way(file, other)
    with pytest.raises(InputFileError, match=r"(outside the|in another) file\. Write it as a single file first"):
        read(source)
    assert other.stat().st_mtime == 0


@H5AD
@pytest.mark.parametrize("command", ["annotate", "score", "train"])
def test_no_command_reads_another_file(source, tmp_path, run, command):
    with h5py.File(source, "a") as file:
        external_link(file, tmp_path / "secret")
    target = ("-o", tmp_path / "m.npz") if command == "train" else ("--table", tmp_path / "t.csv")
    code, _, err = run(command, source, *target)
    assert code == 2
    assert "outside the file" in err
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


@H5AD
def test_a_circle_of_groups_is_said(source, read):
    with h5py.File(source, "a") as file:
        file["uns/a/back"] = file["uns"]
    with pytest.raises(InputFileError, match="links of the file are circular"):
        read(source)


@H5AD
def test_groups_without_end_are_said(source, read):
    with h5py.File(source, "a") as file:
        group = file["uns"]
        for _ in range(200):
            group = group.create_group("g")
    with pytest.raises(InputFileError, match="is nested too deeply"):
        read(source)


@H5AD
def test_a_million_ways_to_the_same_group_are_not_gone(source, read):
    with h5py.File(source, "a") as file:
        below = file.create_group("uns/g0")
        for i in range(1, 30):
            here = file["uns"].create_group(f"g{i}")
            here["a"], here["b"] = below, below
            below = here
    with pytest.raises(InputFileError, match="its links repeat the same ones"):
        read(source)


# Shapes and chunks that hold more than the file.


def huge_column(file: h5py.File) -> None:
    file.create_dataset("obs/huge", shape=(1 << 40,), dtype="f8", chunks=(1 << 16,))


def huge_array(file: h5py.File) -> None:
    file.create_dataset("uns/huge", shape=(1 << 20, 1 << 20), dtype="f8", chunks=(1, 1 << 16))


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("uns/huge", shape=(2,), maxshape=(None,), dtype="f8", chunks=(1 << 28,))


def many_columns(file: h5py.File) -> None:
    for i in range(40):
        file.create_dataset(f"uns/c{i}", shape=(1 << 23,), dtype="f8", chunks=(1 << 16,))


@cache
def packed_zeros() -> bytes:
    """Return 400 MiB of zeros in 400 KB, which takes seconds to pack."""
    return zlib.compress(bytes(400 << 20), 9)


def bomb(file: h5py.File) -> None:
    stored = file.create_dataset("uns/bomb", shape=(1 << 20,), dtype="i1", chunks=(1 << 20,), compression="gzip")
    stored.id.write_direct_chunk((0,), packed_zeros())


def bomb_in_a_bomb(file: h5py.File) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1 << 20,))
    plan.set_deflate(9)
    plan.set_filter(h5py.h5z.FILTER_SHUFFLE)
    packed = os.urandom(400_000)
    space = h5py.h5s.create_simple((1 << 20,))
    made = h5py.h5d.create(file["uns"].id, b"bomb", h5py.h5t.NATIVE_INT8, space, plan)
    made.write_direct_chunk((0,), packed)


MADE_HUGE = [huge_column, huge_array, huge_chunk, many_columns, bomb, bomb_in_a_bomb]


@H5AD
@pytest.mark.parametrize("make", MADE_HUGE, ids=lambda make: make.__name__)
def test_what_would_fill_the_memory_is_refused(source, read, make):
    with h5py.File(source, "a") as file:
        make(file)
    with pytest.raises(InputFileError, match="unpacks to more"):
        read(source)


@H5AD
@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("make", [bomb, huge_column, huge_chunk], ids=lambda make: make.__name__)
def test_memory_of_the_command_is_bounded(source, tamannot, make):
    plain = tamannot("check", source)
    with h5py.File(source, "a") as file:
        make(file)
    found = tamannot("check", source)
    assert plain.code == 0
    assert found.code == 2
    assert "unpacks to more" in found.message
    assert found.peak < plain.peak + (64 << 20)


@H5AD
def test_honest_files_pass(source, tmp_path, read):
    with h5py.File(source, "a") as file:
        file.create_dataset("uns/zeros", data=np.zeros(1 << 22), chunks=True, compression="gzip", fletcher32=True)
        file["uns/again"] = h5py.SoftLink("/uns/zeros")
        file["uns/once_more"] = file["uns/zeros"]
    read(source)


# Encodings and types.


def edit(path: Path, change) -> None:
    with h5py.File(path, "a") as file:
        change(file)


def attribute(where: str, **values):
    return lambda file: file[where].attrs.update(values)


def replaced(where: str, values, **attrs):
    def change(file):
        if where in file:
            del file[where]
        file[where] = values
        file[where].attrs.update(attrs)

    return change


COMPOUND = np.zeros(12, dtype=[("x", "f4"), ("y", "S3")])


WRONG = {
    "unknown encoding": attribute("X", **{"encoding-type": "surprise"}),
    "encoding of a later version": attribute("obs", **{"encoding-version": "99.0.0"}),
    "encoding that is a number": attribute("X", **{"encoding-type": 7}),
    "a matrix that says it is a table": attribute("X", **{"encoding-type": "dataframe"}),
    "a table that says it is a matrix": attribute("obs", **{"encoding-type": "csr_matrix"}),
    "matrix of texts": replaced("X/data", np.array([b"x"] * 200)),
    "matrix of compounds": replaced("X/data", np.zeros(200, COMPOUND.dtype)),
    "matrix without pointers": lambda file: file["X"].__delitem__("indptr"),
    "shape of three": attribute("X", shape=np.array([12, 40, 1])),
    "shape of other sizes": attribute("X", shape=np.array([12, 41])),
    "shape beyond any": attribute("X", shape=np.array([12, 2**62])),
    "negative shape": attribute("X", shape=np.array([-12, 40])),
    "column order of numbers": attribute("obs", **{"column-order": np.arange(3)}),
    "index that is not there": attribute("obs", _index="nowhere"),
    "index outside of the table": attribute("obs", _index="../../X/data"),
    "column twice": attribute("obs", **{"column-order": np.array([b"patient", b"patient"])}),
    "column of another length": replaced("obs/patient", np.arange(5)),
    "no obs": lambda file: file.__delitem__("obs"),
    "obs of one compound": replaced("obs", COMPOUND[:3]),
    "ids that are no UTF-8": lambda file: replaced(
        f"var/{file['var'].attrs['_index']}", np.array([b"\xff\xfe%d" % i for i in range(40)])
    )(file),
    "pointers of fractions": lambda file: replaced("X/indptr", file["X/indptr"][:] + 0.5)(file),
    "pointers that fall": lambda file: replaced("X/indptr", file["X/indptr"][:][::-1])(file),
    "negative pointers": lambda file: replaced("X/indptr", -file["X/indptr"][:])(file),
    "pointers beyond 32 bits": lambda file: replaced("X/indptr", file["X/indptr"][:].astype("u8") << 40)(file),
    "pointers that overflow": lambda file: replaced("X/indptr", file["X/indptr"][:].astype("u8") | 1 << 63)(file),
    "negative indices": lambda file: replaced("X/indices", -file["X/indices"][:] - 1)(file),
    "indices beyond": lambda file: replaced("X/indices", file["X/indices"][:] + 40)(file),
    "indices that overflow 32 bits": lambda file: replaced("X/indices", file["X/indices"][:].astype("i8") + 2**32)(
        file
    ),
    "indices of fractions": lambda file: replaced("X/indices", file["X/indices"][:] + 0.5)(file),
    "fewer values than indices": lambda file: replaced("X/data", file["X/data"][:5])(file),
    "NaN": lambda file: replaced("X/data", np.full(file["X/data"].shape, np.nan))(file),
    "infinite": lambda file: replaced("X/data", np.full(file["X/data"].shape, np.inf))(file),
    "minus infinite": lambda file: replaced("X/data", np.full(file["X/data"].shape, -np.inf))(file),
    "complex": lambda file: replaced("X/data", file["X/data"][:].astype("c8"))(file),
}


@H5AD
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_in_one_message(source, change, run):
    edit(source, change)
    code, out, err = run("check", source)
    assert code == 2, out
    assert err.startswith("tamannot: ")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    with pytest.raises(TamannotError):
        tam.annotate_file(source, source.with_name("out.h5ad"))
    assert [p.name for p in source.parent.iterdir()] == ["in.h5ad"]


def _backwards(file: h5py.File) -> None:
    ends = file["X/indptr"][:]
    for key in ("indices", "data"):
        values = file[f"X/{key}"][:]
        for start, stop in pairwise(ends):
            values[start:stop] = values[start:stop][::-1]
        file[f"X/{key}"][:] = values


def _in_halves(file: h5py.File) -> None:
    ends = file["X/indptr"][:]
    indices, values = file["X/indices"][:], file["X/data"][:]
    replaced("X/indices", np.repeat(indices, 2))(file)
    replaced("X/data", np.repeat(values / 2, 2))(file)
    replaced("X/indptr", ends * 2)(file)


@H5AD
@pytest.mark.parametrize("change", [_backwards, _in_halves], ids=["not in order", "each twice"])
def test_indices_in_any_order_or_twice_mean_the_same(source, tmp_path, change):
    options = {"signatures": ["state"], "min_coverage": 0.0}
    score_file(source, None, table=tmp_path / "good.csv", **options)
    edit(source, change)
    score_file(source, None, table=tmp_path / "changed.csv", **options)
    assert (tmp_path / "good.csv").read_text() == (tmp_path / "changed.csv").read_text()


@H5AD
def test_columns_of_another_byte_order_are_read(source):
    """Found by fuzzing: scipy takes no such numbers, and a small matrix by columns was loaded by it."""
    adata = read_file(source)
    adata.X = sp.csc_matrix(adata.X)
    adata.write_h5ad(source)
    with h5py.File(source, "a") as file:
        values = file["X/data"][()]
        del file["X/data"]
        file["X/data"] = values.astype(values.dtype.newbyteorder(">"))
    with open_file(source) as opened:
        found = unpack(opened, tam.read_signatures({"mine": list(adata.var_names[:6])}), layer="X")
        block = found.rows.block(0, adata.n_obs)
        read = sp.csr_matrix((block.values.astype(np.float32), block.indices, block.indptr), adata.shape)
    np.testing.assert_array_equal(read.toarray(), adata.X.toarray())


@H5AD
def test_objects_of_old_files_are_read_as_texts(source):
    edit(
        source,
        replaced(
            "obs/patient",
            np.array(["é"] * 12, dtype=object),
            **{"encoding-type": "string-array", "encoding-version": "0.2.0"},
        ),
    )
    assert set(read_file(source).obs["patient"]) == {"é"}


@H5AD
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "x.h5ad")
    with pytest.raises(InputFileError, match="not an HDF5 file"):
        read(tmp_path / "x.h5ad")


@H5AD
@pytest.mark.parametrize(
    "name", ["a" * 300 + ".h5ad", "a\0b.h5ad", "http://127.0.0.1/x.h5ad", "s3://x/y.zarr", "file:///x.h5ad"]
)
def test_a_name_that_is_none_is_refused(read, name):
    with pytest.raises(InputFileError, match="no such file"):
        read(Path(name))


# What anndata reads and does not write: found by fuzzing, where it came out as an error of anndata's.


def taken_over(source: Path, out: Path) -> None:
    adata = read_file(source)
    write_record(adata, "tam", {"method": "none"})
    write_annotated(source, out, adata, ("tam",))


@pytest.mark.parametrize("value", [b"bytes", object(), {"inner": b"bytes"}])
def test_a_value_of_no_kind_that_anndata_writes_is_named(tmp_path, value):
    with h5py.File(tmp_path / "x.h5ad", "w") as file, pytest.raises(UnwritableError, match="'odd' cannot be written"):
        write_value(file, "odd", value)


@pytest.mark.filterwarnings("ignore::Warning")
def test_a_dataset_of_no_values_is_copied_or_named(source, tmp_path):
    with h5py.File(source, "a") as file:
        file["uns/odd"] = h5py.Empty("f4")
    taken_over(source, tmp_path / "out.h5ad")
    with h5py.File(tmp_path / "out.h5ad") as file:
        assert file["uns/odd"].shape is None
        with pytest.raises(UnwritableError, match="'odd' is empty"):
            convert(file["uns/odd"], zarr.open_group(tmp_path / "x.zarr", mode="w"), "odd")


@pytest.mark.filterwarnings("ignore::Warning")
def test_a_column_that_has_no_place_in_an_output_is_named(source, tmp_path):
    with h5py.File(source, "a") as file:
        obs = file["obs"]
        names = str(obs.attrs["_index"])
        assert names != "_index" or obs.move("_index", "cell") is None
        obs.attrs["_index"] = "cell" if names == "_index" else names
        obs["_index"] = np.arange(12.0)
        obs["_index"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        obs.attrs["column-order"] = [*obs.attrs["column-order"], "_index"]
    with pytest.raises(InputFileError, match=r"in.h5ad: 'obs' cannot be written.*_index.*Rename or remove it"):
        taken_over(source, tmp_path / "out.zarr")
    with pytest.raises(InputFileError):
        tam.annotate_file(source, tmp_path / "whole.zarr")
    assert not (tmp_path / "whole.zarr").exists()
