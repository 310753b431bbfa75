"""An input is replaced only where that was asked for, by whatever name the output goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pytest

import tamannot as tam
from tamannot.errors import OutputError, ParameterError
from tamannot.io import score_file

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


def same_name(source: Path) -> Path:
    return source


def relative(source: Path) -> Path:
    return Path(os.path.relpath(source))


def symbolic(source: Path) -> Path:
    link = source.with_name(f"link{source.suffix}")
    link.symlink_to(source)
    return link


def hard(source: Path) -> Path:
    link = source.with_name(f"hard{source.suffix}")
    os.link(source, link)
    return link


def through_a_folder(source: Path) -> Path:
    folder = source.parent.with_name("other")
    folder.symlink_to(source.parent)
    return folder / source.name


WAYS = [same_name, relative, symbolic, hard, through_a_folder]


@pytest.fixture(params=["in.h5ad", "in.zarr"])
def source(request, example, tmp_path) -> Path:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / request.param
    example[:60].copy().write_h5ad(path) if path.suffix == ".h5ad" else example[:60].copy().write_zarr(path)
    return path


def columns(path: Path) -> list[str]:
    return list((ad.read_h5ad(path) if path.suffix == ".h5ad" else ad.read_zarr(path)).obs)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_input_is_no_output(source, way: Callable[[Path], Path], overwrite, bytes_of):
    if way is hard and source.is_dir():
        pytest.skip("folders have no hard links")
    out, before = way(source), bytes_of(source)
    with pytest.raises(OutputError, match=r"is the input.*in_place=True"):
        tam.annotate_file(source, out, overwrite=overwrite)
    with pytest.raises(OutputError, match=r"is the input.*in_place=True"):
        score_file(source, out, signatures=["state"], overwrite=overwrite)
    assert bytes_of(source) == before


@pytest.mark.parametrize("way", [same_name, symbolic])
def test_in_place(source, way: Callable[[Path], Path]):
    out = way(source)
    tam.annotate_file(source, out, in_place=True)
    assert "tam_state" in columns(source)
    assert out.is_symlink() == (way is symbolic)
    assert {p.name for p in source.parent.iterdir()} == {source.name, out.name}


def test_in_place_needs_no_other_name(source, tmp_path):
    summary = tam.annotate_file(source, in_place=True, table=tmp_path / "t.csv")
    assert summary.outputs == (str(source), str(tmp_path / "t.csv"))
    assert "tam_state" in columns(source)


def test_in_place_and_another_output_do_not_go_together(source, tmp_path, bytes_of):
    before = bytes_of(source)
    with pytest.raises(ParameterError, match=r"in_place=True writes into the input.*Leave out one of the two"):
        tam.annotate_file(source, tmp_path / "out.h5ad", in_place=True)
    assert bytes_of(source) == before


def test_scores_in_place(source):
    score_file(source, None, signatures=["state"], in_place=True)
    back = ad.read_h5ad(source) if source.suffix == ".h5ad" else ad.read_zarr(source)
    assert back.obsm["tam_scores"].shape == (60, 5)


def test_a_table_never_takes_the_place_of_the_input(example, tmp_path, bytes_of):
    path = tmp_path / "h5ad.csv"
    example.write_h5ad(path)
    before = bytes_of(path)
    with pytest.raises(OutputError, match="is the input"):
        tam.annotate_file(path, tmp_path / "out.h5ad", table=path, overwrite=True)
    assert bytes_of(path) == before


def test_nothing_is_written_inside_the_input(example, tmp_path, bytes_of):
    example.write_zarr(tmp_path / "in.zarr")
    before = bytes_of(tmp_path / "in.zarr")
    with pytest.raises(OutputError, match="lies inside the input"):
        tam.annotate_file(tmp_path / "in.zarr", tmp_path / "in.zarr" / "out.h5ad")
    assert bytes_of(tmp_path / "in.zarr") == before


def test_an_output_does_not_replace_what_the_input_lies_in(example, tmp_path, bytes_of):
    inner = tmp_path / "all.zarr" / "tables" / "table"
    example.write_zarr(inner)
    before = bytes_of(tmp_path)
    with pytest.raises(OutputError, match="holds the input"):
        tam.annotate_file(inner, tmp_path / "all.zarr", overwrite=True)
    assert bytes_of(tmp_path) == before


def test_in_place_by_another_name_than_h5ad_is_refused_before_any_work(example, tmp_path, bytes_of):
    example.write_h5ad(tmp_path / "x.h5")
    before = bytes_of(tmp_path)
    with pytest.raises(OutputError, match=r"x\.h5: the name must end in \.h5ad or \.zarr"):
        tam.annotate_file(tmp_path / "x.h5", in_place=True)
    assert bytes_of(tmp_path) == before
