"""Disks that are full or may not be written; mounting them takes rights that few test machines give."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from tamannot.errors import OutputError
from tamannot.io import _output
from tamannot.io._containers import OutputFile

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux"),
    pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3", "ignore:Consolidated metadata"),
]


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    done = subprocess.run([mount or "mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no right to mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as folder:
        yield folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of 6 MB."""
    adata = ad.AnnData(
        sp.random(1000, 1500, density=0.5, format="csr", dtype=np.float32, random_state=np.random.default_rng(1))
    )
    adata.write_h5ad(tmp_path / "in.h5ad")
    return tmp_path / "in.h5ad"


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the disk filled up after the check."""
    monkeypatch.setattr(_output, "size_of", lambda _: 0)


def cli(*words: str | Path, before: str = "pass") -> subprocess.CompletedProcess[str]:
    script = f"import sys; from tamannot.cli import main; {before}; sys.argv[0] = 'tamannot'; main()"
    return subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("out", ["out.h5ad", "out.zarr"])
def test_a_disk_full_midway(small_disk, source, put, out, unchecked, annotate_by_hand, bytes_of):
    before = bytes_of(source)
    with pytest.raises(OutputError, match=rf"{out}: cannot be written: No space left on device\. Nothing was changed"):
        put(source, small_disk / out, annotate_by_hand(ad.read_h5ad(source)))
    assert list(small_disk.iterdir()) == []
    assert bytes_of(source) == before


def test_a_disk_full_midway_from_zarr_to_zarr(small_disk, source, put, tmp_path, annotate_by_hand):
    adata = ad.read_h5ad(source)
    adata.write_zarr(tmp_path / "in.zarr")
    with pytest.raises(OutputError, match="No space left on device"):
        put(tmp_path / "in.zarr", small_disk / "out.zarr", annotate_by_hand(adata))
    assert list(small_disk.iterdir()) == []


FILL = """
import sys
from pathlib import Path

import h5py
import numpy as np

from tamannot.io._containers import changing

disk = Path(sys.argv[1])
for used in (0.0, 0.35, 0.7, 0.9, 0.99):
    (disk / "filler").write_bytes(bytes(int(used * 2 * 1024 * 1024)))
    try:
        with changing(disk / "x.h5ad", new=True) as new:
            for i in range(100):
                new.create_dataset(f"d{i}", data=np.arange(6000.0))
                new.attrs[f"a{i}"] = np.arange(1000)
    except OSError as error:
        print(error.errno)
    (disk / "x.h5ad").unlink()
"""


@pytest.mark.slow
def test_the_process_survives_whatever_hdf5_had_not_written(small_disk):
    """HDF5 writes again at closing and at the end; with a file of its own it would crash the process there."""
    done = subprocess.run([sys.executable, "-c", FILL, str(small_disk)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "28\n" * 5, "")


@pytest.mark.slow
@pytest.mark.parametrize("checked", [pytest.param(True, marks=pytest.mark.nightly), False])
def test_the_command_says_it_once_with_exit_code_2(small_disk, quick_file, checked, bytes_of):
    before = bytes_of(quick_file)
    blind = "pass" if checked else "import tamannot.io._output as o; o.size_of = lambda _: 0"
    done = cli("annotate", quick_file, "-o", small_disk / "out.h5ad", "-q", before=blind)
    assert done.returncode == 2
    assert done.stderr.count("No space left on device") == 1
    assert done.stderr.startswith("tamannot: ")
    assert done.stderr.count("\n") == 1
    assert list(small_disk.iterdir()) == []
    assert bytes_of(quick_file) == before


def test_a_folder_that_may_only_be_read(tmp_path, example_file, run):
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs") as folder:
        out = folder / "out.h5ad"
        said = f"tamannot: {out}: the folder {folder} is not writable. Choose another folder.\n"
        assert run("annotate", example_file, "-o", out, "-q") == (2, "", said)
        assert list(folder.iterdir()) == []


def test_a_folder_that_may_only_be_read_by_then(tmp_path, source, put, annotate_by_hand):
    read_only = mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs")
    with read_only as folder, pytest.raises(OutputError, match="Read-only file system"):
        put(source, folder / "out.h5ad", annotate_by_hand(ad.read_h5ad(source)))


class TestOutputFile:
    @pytest.fixture
    def output(self, tmp_path: Path) -> Iterator[OutputFile]:
        with OutputFile(tmp_path / "x", "w+") as output:
            yield output

    def test_it_is_a_file(self, output, tmp_path):
        output.write(b"hello world")
        output.seek(-5, 2)
        assert output.read(20) == b"world"
        output.seek(2)
        output.write(memoryview(np.array([1, 2], np.uint16)))
        output.truncate(6)
        assert (tmp_path / "x").read_bytes() == b"he\x01\x00\x02\x00"
        assert output.seek(1, 1) == 7

    def test_it_fails_once(self):
        with OutputFile(Path("/dev/full"), "r+") as output:
            with pytest.raises(OSError, match="No space"):
                output.write(b"abc")
            assert output.write(b"abc") == 3
            assert output.truncate(10) == 10
            assert output.error.errno == 28
