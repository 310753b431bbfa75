"""Files that earlier releases wrote are read, and say what they said, but for models; ``tools/make_compat.py``."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import ModelFormatError

COMPAT = Path(__file__).parent / "compat"
RELEASES = sorted(path.name for path in COMPAT.iterdir() if path.is_dir())
OWN = {"mine": {"CD68": "up", "SPP1": "up", "GPNMB": "up", "CD3E": "down"}, "other": {"IFIT1": "up", "ISG15": "up"}}

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    return COMPAT / request.param


@pytest.fixture
def unpacked(release, tmp_path):
    shutil.unpack_archive(release / "cells.tar.xz", tmp_path)
    return tmp_path


def same(found: pd.DataFrame, path: Path) -> None:
    """Compare with the table of that release; numbers were written as float32."""
    told = pd.read_csv(path, index_col=0, dtype=str, keep_default_na=False)
    assert set(told.columns) <= set(found.columns)  # a later release may tell more
    assert list(told.index) == list(map(str, found.index))
    for name in told:
        if name in numeric(found):
            then = pd.to_numeric(told[name]).to_numpy(float)
            np.testing.assert_allclose(found[name].to_numpy(float), then, rtol=1e-4, atol=1e-4, err_msg=name)
        else:
            assert ["" if pd.isna(v) else str(v) for v in found[name]] == list(told[name]), name


def numeric(table: pd.DataFrame) -> list[str]:
    return [name for name in table if pd.api.types.is_numeric_dtype(table[name])]


def test_there_is_a_release():
    assert "0.1.0" in RELEASES


def test_files_of_all_releases_are_small():
    assert sum(path.stat().st_size for path in COMPAT.rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_annotated_files_are_read(release, unpacked, kind):
    adata = {"h5ad": ad.read_h5ad, "zarr": ad.read_zarr}[kind](unpacked / f"annotated.{kind}")
    same(tam.get.annotations(adata), release / "annotations.csv")
    same(tam.get.scores(adata, kind="z"), release / "z.csv")
    same(tam.get.coverage(adata), release / "coverage.csv")
    assert {"axis", "label"} & set(tam.get.evidence(adata, 0).reset_index().columns)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_pictures")
def test_a_report_is_made_of_an_annotated_file(unpacked):
    tam.write_report(ad.read_h5ad(unpacked / "annotated.h5ad"), unpacked / "report.html")
    assert "lipid_associated" in (unpacked / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["labels.npz", "anchored.npz"])
def test_models_of_the_first_release_are_refused_by_one_sentence(name):
    path = COMPAT / "0.1.0" / name
    with pytest.raises(ModelFormatError) as raised:
        tam.load_model(path)
    told = "made by an older release of tamannot and no longer readable; train the model again with tl.train(...)."
    assert str(raised.value) == f"{path}: {told}"


def test_tables_of_genes_are_read(release):
    paths = sorted(release.glob("signatures.*"))
    assert len(paths) >= 4
    for path in paths:
        read = tam.read_signatures(path)
        assert {s.id: {g.symbol: g.direction for g in s.genes} for s in read.values()} == OWN, path.name


def test_signature_files_are_read(release):
    read = tam.read_signatures(release / "library")
    assert "immunoregulatory" in read
    assert list(read.values()) == [tam.load_signature(f"{each.id}@{each.version}") for each in read.values()]
