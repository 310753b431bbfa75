"""Packed bytes come back as they were, and bytes that are no packing never write where they may not."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tamannot.scoring._codec import unpack_lzf, unshuffle

FEW = settings(max_examples=60, deadline=None, derandomize=True)
GUARD = 64


def packed_by_h5py(values, **how):
    with h5py.File(io.BytesIO(), "w") as file:
        stored = file.create_dataset("x", data=values, chunks=values.shape, **how)
        skipped, raw = stored.id.read_direct_chunk((0,))
    return skipped, np.frombuffer(raw, np.uint8)


def guarded(packed, size, kernel=unpack_lzf):
    """Unpack into the middle of an array, and see that what lies beside it is untouched."""
    field = np.full(size + 2 * GUARD, 170, np.uint8)
    n = kernel(packed.copy(), field[GUARD : GUARD + size])
    assert (field[:GUARD] == 170).all()
    assert (field[GUARD + size :] == 170).all()
    return n, field[GUARD : GUARD + max(n, 0)]


# repeats of any distance and length, and stretches without one
bytes_to_pack = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.tuples(st.binary(min_size=1, max_size=12), st.integers(1, 120)).map(lambda p: p[0] * p[1]),
    ),
    min_size=1,
    max_size=20,
).map(lambda parts: np.frombuffer(b"".join(parts), np.uint8))


@FEW
@given(bytes_to_pack)
def test_what_h5py_packs_comes_back(values):
    skipped, packed = packed_by_h5py(values, compression="lzf")
    if not skipped:
        n, found = guarded(packed, values.size)
        assert n == values.size
        np.testing.assert_array_equal(found, values)


def test_compiled_and_plain_lzf_agree(plain_python):
    values = np.random.default_rng(0).poisson(1.0, 3000).astype(np.uint8)
    _, packed = packed_by_h5py(values, compression="lzf")
    _, found = guarded(packed, values.size, plain_python(unpack_lzf))
    np.testing.assert_array_equal(found, values)


@FEW
@given(bytes_to_pack, st.integers(0, 10**6), st.integers(0, 255), st.integers(-300, 300))
def test_damaged_bytes_never_write_outside(values, place, byte, more):
    _, packed = packed_by_h5py(values, compression="lzf")
    damaged = packed.copy()
    damaged[place % damaged.size] = byte
    size = max(0, values.size + more)
    n, _ = guarded(damaged, size)
    assert -1 <= n <= size


@FEW
@given(hnp.arrays(np.uint8, st.integers(0, 200)), st.integers(0, 200))
def test_any_bytes_never_write_outside(packed, size):
    n, _ = guarded(packed, size)
    assert -1 <= n <= size


@pytest.mark.parametrize(
    "packed",
    [[0], [5, 1, 2], [32], [0, 7, 224], [0, 7, 224, 1], [0, 7, 32, 1], [32, 0]],
    ids=["no literal", "few literals", "no distance", "no length", "no distance of a long one", "before", "at once"],
)
def test_torn_bytes_are_refused(packed):
    assert guarded(np.array(packed, np.uint8), 100)[0] == -1


def test_more_than_there_is_room_for_is_refused():
    _, packed = packed_by_h5py(np.zeros(500, np.uint8), compression="lzf")
    assert guarded(packed, 499)[0] == -1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_shuffled_numbers_come_back(dtype):
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, 999, dtype=dtype)
    out = np.empty_like(values)
    unshuffle(np.ascontiguousarray(values.view(np.uint8).reshape(values.size, -1).T).reshape(-1), out)
    np.testing.assert_array_equal(out, values)
