"""Files that are no AnnData: said as what they are, with a line that does what it says when it is run as printed."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import zarr

import tamannot as tam
from tamannot.errors import InputFileError
from tamannot.io._read import open_file

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
N_CELLS, GENES = 8, ["CD68", "SPP1", "C1QA", "P2RY12", "GAPDH"]


@pytest.fixture
def cells() -> ad.AnnData:
    counts = np.random.default_rng(3).poisson(2, (N_CELLS, len(GENES))).astype(np.float32)
    return ad.AnnData(
        sp.csr_matrix(counts),
        obs=pd.DataFrame(index=[f"AAAC{i}-1" for i in range(N_CELLS)]),
        var=pd.DataFrame(index=GENES),
    )


def said_of(path: Path) -> str:
    with pytest.raises(InputFileError) as refused, open_file(path):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


def read_file(path: Path) -> ad.AnnData:
    with open_file(path) as adata:
        return adata.to_memory()


def line_of(message: str) -> str:
    """The line of Python that a message shows."""
    found = re.search(r"in Python(?:, and pass \S+)?:  (import .+?\))(?:  \(without|$)", message)
    assert found, message
    return found[1]


def converted(path: Path, monkeypatch: pytest.MonkeyPatch) -> ad.AnnData:
    """What the line of the message writes, run as it stands where the file is."""
    monkeypatch.chdir(path.parent)
    message = said_of(Path(path.name))
    before = set(Path().iterdir())
    exec(line_of(message), {})  # noqa: S102 - that is the test
    (made,) = set(Path().iterdir()) - before
    assert made.suffix == ".h5ad"
    return read_file(made)


def same(one: ad.AnnData, other: ad.AnnData) -> bool:
    """The same cells, genes and values."""
    return (
        list(one.obs_names) == list(other.obs_names)
        and list(one.var_names) == list(other.var_names)
        and np.array_equal(one.to_df().to_numpy(), other.to_df().to_numpy())
    )


def texts(names) -> np.ndarray:
    return np.array([str(n).encode() for n in names])


def ten_x(group: h5py.Group, cells: ad.AnnData) -> None:
    by_cell = cells.X.tocsr()
    group["data"], group["indices"], group["indptr"] = by_cell.data.astype("i4"), by_cell.indices, by_cell.indptr
    group["shape"], group["barcodes"] = np.array(cells.shape[::-1], "i4"), texts(cells.obs_names)


def cell_ranger_2(path: Path, cells: ad.AnnData, *genomes: str, beside: tuple[str, ...] = ()) -> None:
    with h5py.File(path, "w") as file:
        for genome in genomes:
            ten_x(file.create_group(genome), cells)
            file[genome]["genes"], file[genome]["gene_names"] = texts(range(len(GENES))), texts(GENES)
        for name in beside:
            file.create_group(name)


def cell_ranger_3(path: Path, cells: ad.AnnData, types: list[str], genomes: list[str]) -> None:
    with h5py.File(path, "w") as file:
        ten_x(file.create_group("matrix"), cells)
        features = file["matrix"].create_group("features")
        features["id"], features["name"] = texts(range(len(GENES))), texts(GENES)
        features["feature_type"], features["genome"] = texts(types), texts(genomes)


class TestH5:
    @pytest.mark.parametrize("name", ["x.h5", "x.hdf5", "x"])
    def test_an_h5ad_by_another_name_is_read(self, example, tmp_path, name):
        example.write_h5ad(tmp_path / "x.h5ad")
        (tmp_path / "x.h5ad").rename(tmp_path / name)
        found = tam.annotate_file(tmp_path / name, tmp_path / "out.h5ad", tissue="brain")
        assert found.n_obs == example.n_obs
        assert "tam_state" in ad.read_h5ad(tmp_path / "out.h5ad").obs

    def test_one_genome_of_cell_ranger_2(self, cells, tmp_path, monkeypatch):
        cell_ranger_2(tmp_path / "x.h5", cells, "hg19")
        assert "genome=" not in said_of(tmp_path / "x.h5")
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells)

    def test_several_genomes_of_cell_ranger_2(self, cells, tmp_path, monkeypatch):
        cell_ranger_2(tmp_path / "x.h5", cells, "hg19", "mm10")
        assert "several genomes (hg19, mm10)" in said_of(tmp_path / "x.h5")
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells)

    def test_cell_ranger_3(self, cells, tmp_path, monkeypatch):
        cell_ranger_3(tmp_path / "x.h5", cells, ["Gene Expression"] * 5, ["GRCh38"] * 5)
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells)

    def test_several_genomes_of_cell_ranger_3(self, cells, tmp_path, monkeypatch):
        cell_ranger_3(tmp_path / "x.h5", cells, ["Gene Expression"] * 5, ["GRCh38"] * 3 + ["mm10"] * 2)
        assert "genome='GRCh38'" in said_of(tmp_path / "x.h5")
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells[:, :3])

    def test_proteins_have_no_genome(self, cells, tmp_path, monkeypatch):
        types = ["Gene Expression"] * 4 + ["Antibody Capture"]
        cell_ranger_3(tmp_path / "x.h5", cells, types, ["GRCh38"] * 4 + [""])
        assert "genome=" not in said_of(tmp_path / "x.h5")
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells[:, :4])

    def test_peaks_alone_are_no_genes(self, cells, tmp_path):
        cell_ranger_3(tmp_path / "x.h5", cells, ["Peaks"] * 5, ["GRCh38"] * 5)
        assert "without gene expression: its features are Peaks" in said_of(tmp_path / "x.h5")

    def test_cellbender_of_cell_ranger_2(self, cells, tmp_path, monkeypatch):
        beside = ("droplet_latents", "global_latents", "metadata")
        cell_ranger_2(tmp_path / "x.h5", cells, "matrix_v2", beside=beside)
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells)

    def test_cellbender_that_was_not_told_the_types(self, cells, tmp_path, monkeypatch):
        cell_ranger_3(tmp_path / "x.h5", cells, ["NA"] * 5, ["NA"] * 5)
        assert same(converted(tmp_path / "x.h5", monkeypatch), cells)

    def test_a_10x_matrix_by_another_name(self, cells, tmp_path, monkeypatch):
        cell_ranger_3(tmp_path / "it's.hdf5", cells, ["Gene Expression"] * 5, ["GRCh38"] * 5)
        assert same(converted(tmp_path / "it's.hdf5", monkeypatch), cells)

    def test_molecules_are_no_cells(self, tmp_path):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["barcode_idx"] = [0]
            file.create_group("features")
        assert "filtered_feature_bc_matrix.h5" in said_of(tmp_path / "x.h5")

    def test_something_else_is_said_with_what_it_holds(self, tmp_path):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_group("model_weights")
        assert "not an AnnData. It contains model_weights, but no obs and var" in said_of(tmp_path / "x.h5")

    def test_h5seurat(self, tmp_path):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_group("assays")
        assert "SeuratDisk::Convert(" in said_of(tmp_path / "x.h5")

    def test_mudata(self, cells, tmp_path, monkeypatch):
        with h5py.File(tmp_path / "x.h5mu", "w") as file:
            file.attrs["encoding-type"] = "MuData"
            for name in ("prot", "rna"):
                ad.io.write_elem(file, f"mod/{name}", cells)
            ad.io.write_elem(file, "obs", cells.obs)
        assert "a MuData of prot, rna" in said_of(tmp_path / "x.h5mu")
        assert same(converted(tmp_path / "x.h5mu", monkeypatch), cells)

    def test_loom_names_the_package_that_it_takes(self, cells, tmp_path, monkeypatch):
        with h5py.File(tmp_path / "x.loom", "w") as file:
            file["matrix"] = cells.X.toarray().T
            file["row_attrs/Gene"], file["col_attrs/CellID"] = texts(GENES), texts(cells.obs_names)
            for name in ("layers", "row_graphs", "col_graphs"):
                file.create_group(name)
            file.attrs["LOOM_SPEC_VERSION"] = "2.0.1"
        assert "pip install loompy" in said_of(tmp_path / "x.loom")
        pytest.importorskip("loompy")
        assert same(converted(tmp_path / "x.loom", monkeypatch), cells)


class TestZarr:
    def unpacked(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> ad.AnnData:
        monkeypatch.chdir(path.parent)
        message = said_of(Path(path.name))
        exec(line_of(message), {})  # noqa: S102
        return read_file(Path(re.search(r"and pass (\S+):", message)[1]))

    def test_zipped_inside(self, cells, tmp_path, monkeypatch):
        cells.write_zarr(tmp_path / "in" / "x.zarr")
        shutil.make_archive(tmp_path / "x.zarr", "zip", tmp_path / "in" / "x.zarr")
        assert same(self.unpacked(tmp_path / "x.zarr.zip", monkeypatch), cells)

    def test_zipped_with_its_folder(self, cells, tmp_path, monkeypatch):
        cells.write_zarr(tmp_path / "in" / "x.zarr")
        shutil.make_archive(tmp_path / "y", "zip", tmp_path / "in", "x.zarr")
        assert same(self.unpacked(tmp_path / "y.zip", monkeypatch), cells)

    def test_a_zip_store_of_zarr(self, cells, tmp_path, monkeypatch):
        with zarr.storage.ZipStore(tmp_path / "x.zarr.zip", mode="w") as store:
            cells.write_zarr(store)
        assert same(self.unpacked(tmp_path / "x.zarr.zip", monkeypatch), cells)

    def test_an_h5ad_in_a_zip(self, cells, tmp_path, monkeypatch):
        cells.write_h5ad(tmp_path / "x.h5ad")
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.write(tmp_path / "x.h5ad", "data/x.h5ad")
        assert same(self.unpacked(tmp_path / "x.zip", monkeypatch), cells)

    def test_other_metadata_in_a_zip_are_no_zarr(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("data/not-zarr.json", "{}")
        assert "a zip archive without a zarr folder" in said_of(tmp_path / "x.zip")

    @pytest.mark.parametrize("name", ["mod", "tables"])
    def test_a_folder_of_several_objects_names_one(self, cells, tmp_path, name):
        group = zarr.open_group(tmp_path / "x.zarr", mode="w")
        ad.io.write_elem(group.create_group(name), "rna", cells)
        inner = said_of(tmp_path / "x.zarr").rpartition("  ")[2]
        assert same(read_file(Path(inner)), cells)

    def test_a_folder_that_is_none(self, tmp_path):
        (tmp_path / "x.zarr").mkdir()
        assert "has no zarr.json or .zgroup" in said_of(tmp_path / "x.zarr")

    @pytest.mark.parametrize("container", ["x.h5ad", "x.zarr"])
    def test_what_a_newer_version_wrote_is_not_called_damaged(self, cells, tmp_path, container):
        path = tmp_path / container
        if container == "x.zarr":
            cells.write_zarr(path)
            zarr.open_group(path, mode="r+")["obs"].attrs["encoding-version"] = "9.0.0"
        else:
            cells.write_h5ad(path)
            with h5py.File(path, "r+") as file:
                file["obs"].attrs["encoding-version"] = "9.0.0"
        message = said_of(path)
        assert "newer version than the installed one (anndata " in message
        assert "pip install -U anndata zarr" in message
        assert "damaged" not in message

    def test_a_zarr_of_a_format_to_come(self, cells, tmp_path):
        cells.write_zarr(tmp_path / "x.zarr")
        for name in (".zgroup", "zarr.json"):
            meta = tmp_path / "x.zarr" / name
            if meta.exists():
                meta.write_text(re.sub(r'"zarr_format":\s*\d', '"zarr_format": 4', meta.read_text()))
        message = said_of(tmp_path / "x.zarr")
        assert "newer version" in message
        assert "damaged" not in message


class TestTables:
    def test_genes_by_cells_as_comma_separated(self, cells, tmp_path, monkeypatch):
        cells.to_df().T.to_csv(tmp_path / "x.csv")
        assert same(converted(tmp_path / "x.csv", monkeypatch), cells)

    def test_quoted_and_packed(self, cells, tmp_path, monkeypatch):
        cells.to_df().T.to_csv(tmp_path / "x.tsv.gz", sep="\t", quoting=1)
        assert same(converted(tmp_path / "x.tsv.gz", monkeypatch), cells)

    def test_a_table_of_r_whose_header_is_one_short(self, cells, tmp_path, monkeypatch):
        rows = [" ".join(f'"{name}"' for name in cells.obs_names)]
        rows += [f'"{gene}" ' + " ".join(map(str, values)) for gene, values in cells.to_df().items()]
        (tmp_path / "x.txt").write_text("\n".join(rows) + "\n")
        assert same(converted(tmp_path / "x.txt", monkeypatch), cells)

    def folder(self, path: Path, cells: ad.AnnData, *, genes="features.tsv", prefix="", packed=True) -> None:
        path.mkdir()
        scipy.io.mmwrite(path / f"{prefix}matrix.mtx", cells.X.T.tocoo(), field="integer")
        more = "\tGene Expression" if genes == "features.tsv" else ""
        (path / f"{prefix}{genes}").write_text("".join(f"ENSG{i}\t{gene}{more}\n" for i, gene in enumerate(GENES)))
        (path / f"{prefix}barcodes.tsv").write_text("\n".join(cells.obs_names) + "\n")
        for file in list(path.iterdir()) if packed else ():
            (path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()

    @pytest.mark.parametrize(("genes", "packed"), [("features.tsv", True), ("genes.tsv", False)])
    @pytest.mark.parametrize("prefix", ["", "GSM1_"])
    def test_three_files_of_10x(self, cells, tmp_path, monkeypatch, genes, packed, prefix):
        self.folder(tmp_path / "in", cells, genes=genes, packed=packed, prefix=prefix)
        assert same(converted(tmp_path / "in", monkeypatch), cells)

    @pytest.mark.parametrize(("genes", "packed"), [("features.tsv", False), ("genes.tsv", True)])
    def test_files_that_scanpy_wants_packed_otherwise(self, cells, tmp_path, monkeypatch, genes, packed):
        self.folder(tmp_path / "in", cells, genes=genes, packed=packed)
        monkeypatch.chdir(tmp_path)
        subprocess.run(re.search(r"First:  (.+?)  Then", said_of(Path("in")))[1], shell=True, check=True)  # noqa: S602
        assert same(converted(tmp_path / "in", monkeypatch), cells)

    def test_the_matrix_itself_leads_to_its_folder(self, cells, tmp_path):
        self.folder(tmp_path / "in", cells)
        assert "read_10x_mtx" in said_of(tmp_path / "in" / "matrix.mtx.gz")

    def test_what_is_missing_is_named(self, cells, tmp_path):
        self.folder(tmp_path / "in", cells)
        (tmp_path / "in" / "barcodes.tsv.gz").unlink()
        assert "barcodes.tsv must be next to matrix.mtx.gz" in said_of(tmp_path / "in")


def test_a_packed_h5ad(cells, tmp_path, monkeypatch):
    cells.write_h5ad(tmp_path / "in.h5ad")
    (tmp_path / "x.h5ad.gz").write_bytes(gzip.compress((tmp_path / "in.h5ad").read_bytes()))
    monkeypatch.chdir(tmp_path)
    message = said_of(Path("x.h5ad.gz"))
    subprocess.run(message.rpartition("  ")[2], shell=True, check=True)  # noqa: S602
    assert "pass x.h5ad:" in message
    assert same(read_file(Path("x.h5ad")), cells)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.rds", gzip.compress(b"X", mtime=0), "zellkonverter::writeH5AD(Seurat::as.SingleCellExperiment(readRDS('"),
        ("x.RData", b"RDX", "saveRDS()"),
        ("x.tar.gz", b"", "tar -xf "),
        ("x.h5ad", b"", "it is empty"),
        ("x.h5", b"<!DOCTYPE html>", "a web page"),
        ("x.h5ad", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("x.loom", b"text", "not an HDF5 file"),
    ],
)
def test_other_files(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in said_of(tmp_path / name)


def test_a_10x_file_with_a_part_elsewhere_is_not_followed(cells, tmp_path):
    cell_ranger_3(tmp_path / "other.h5", cells, ["Gene Expression"] * 5, ["GRCh38"] * 5)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["matrix"] = h5py.ExternalLink(tmp_path / "other.h5", "/matrix")
    assert "outside the file" in said_of(tmp_path / "x.h5")


def test_names_that_would_fill_the_memory_are_not_read(cells, tmp_path):
    cell_ranger_3(tmp_path / "x.h5", cells, ["Gene Expression"] * 5, ["GRCh38"] * 5)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        del file["matrix/features/genome"]
        file.create_dataset("matrix/features/genome", shape=(1 << 20,), dtype="S4096", chunks=(1 << 10,))
    assert "a 10x matrix" in said_of(tmp_path / "x.h5")
