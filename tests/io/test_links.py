from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest

import tamannot as tam
from tamannot.errors import InputFileError

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore::DeprecationWarning")


@pytest.fixture
def source(rich, tmp_path) -> Path:
    rich.write_h5ad(tmp_path / "in.h5ad")
    return tmp_path / "in.h5ad"


def test_links_within_the_file_become_what_they_lead_to(rich, source, put, tmp_path, annotate_by_hand):
    with h5py.File(source, "a") as file:
        file["layers/linked"] = h5py.SoftLink("/layers/dense")
        file["uns/log1p/self"] = h5py.SoftLink("/uns/log1p/base")
    put(source, tmp_path / "out.h5ad", annotate_by_hand(rich))
    source.unlink()
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_array_equal(back.layers["linked"], rich.layers["dense"])
    assert back.uns["log1p"]["self"] == 2.0


@pytest.mark.parametrize("end", ["h5ad", "zarr"])
def test_a_circle_of_links_ends_with_an_error(source, tmp_path, end):
    with h5py.File(source, "a") as file:
        file["uns/log1p/back"] = file["uns"]
    with pytest.raises(InputFileError, match="in a circle"):
        tam.annotate_file(source, tmp_path / f"out.{end}")
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


def _external_link(file: h5py.File, other: Path) -> None:
    file["layers/far"] = h5py.ExternalLink(other, "/X")


def _external_values(file: h5py.File, other: Path) -> None:
    file.create_dataset("layers/far", shape=(40, 30), dtype="f4", external=[(other, 0, 40 * 30 * 4)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(shape=(40, 30), dtype="f4")
    layout[:] = h5py.VirtualSource(other, "layers/dense", shape=(40, 30))
    file.create_virtual_dataset("layers/far", layout)


WAYS = {"external_link": _external_link, "external_values": _external_values, "virtual": _virtual}


@pytest.mark.parametrize("way", list(WAYS))
def test_other_files_are_refused_before_any_work(source, tmp_path, way, monkeypatch, example_file):
    def never(*_: object) -> None:
        raise AssertionError

    with h5py.File(source, "a") as file:
        WAYS[way](file, tmp_path / "other.h5ad")
    monkeypatch.setattr("tamannot.io._read.without_matrices", never)
    with pytest.raises(InputFileError, match=r"/layers/far .*, which is not in it.*Make one whole file first"):
        tam.annotate_file(source, tmp_path / "out.h5ad")
    assert not (tmp_path / "out.h5ad").exists()


def test_a_link_in_a_zarr_folder_is_refused(rich, tmp_path):
    rich.write_zarr(tmp_path / "in.zarr")
    (tmp_path / "in.zarr/layers/dense").rename(tmp_path / "elsewhere")
    (tmp_path / "in.zarr/layers/dense").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputFileError, match=r"layers/dense is a symbolic link to .*elsewhere"):
        tam.annotate_file(tmp_path / "in.zarr", tmp_path / "out.zarr")
