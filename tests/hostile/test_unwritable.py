"""What anndata reads and does not write: found by fuzzing, where it came out as an error of anndata's."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import tamannot as tam
from tamannot.data import write_record
from tamannot.errors import InputFileError
from tamannot.io._encodings import UnwritableError, convert, write_value
from tamannot.io._read import read_file
from tamannot.io._write import write_annotated


def taken_over(source: Path, out: Path) -> None:
    adata = read_file(source)
    write_record(adata, "tam", {"method": "none"})
    write_annotated(source, out, adata, "tam")


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
        with pytest.raises(UnwritableError, match="'odd' holds nothing"):
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
