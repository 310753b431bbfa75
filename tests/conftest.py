"""Data that the tests share."""

from __future__ import annotations

import base64
import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

from _pytest.assertion.rewrite import AssertionRewritingHook

# Both have plugins of pytest, so that it would rewrite the assertions in all their files: seconds of each process.
REWRITING = [finder for finder in sys.meta_path if isinstance(finder, AssertionRewritingHook)]
with mock.patch("sys.meta_path", [finder for finder in sys.meta_path if finder not in REWRITING]):
    for name in ("hypothesis.strategies", "zarr"):
        import_module(name)

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import typer
from numba.core.dispatcher import Dispatcher

import tamannot as tam
from tamannot._progress import Progress
from tamannot.classify import Cohort, Prepared
from tamannot.classify._reference import load_profiles
from tamannot.cli._main import main
from tamannot.tl._write import write_run

mpl.use("Agg")

QUIET = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count nightly tests as slow: ``-m "not slow"`` replaces the default, which leaves them out."""
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Have the collector of garbage pass over what was imported: it stays, and is most of what there is."""
    gc.collect()
    gc.freeze()


async def _at_once(function: Callable[..., object], /, *args: object, **choices: object) -> object:
    return function(*args, **choices)


@pytest.fixture(scope="session", autouse=True)
def _files_at_once() -> Iterator[None]:
    """Do not wait for the disk, nor for a thread: a zarr folder is a thousand files, and each would be waited for."""
    with mock.patch("os.fsync"), mock.patch("asyncio.to_thread", _at_once):
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_at_once() -> Iterator[None]:
    """Keep the tree of commands, which typer makes anew from all signatures each time the command line is called."""
    with mock.patch("typer.main.get_command", cache(typer.main.get_command)):
        yield


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    """Close what a test drew: a worker runs tests of all folders, and some assert that no figure is open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def _example() -> ad.AnnData:
    return tam.datasets.oligodendroglioma()


@pytest.fixture
def example(_example: ad.AnnData) -> ad.AnnData:
    """The example data: 184 cells, 19 of them macrophages."""
    return _example.copy()


@pytest.fixture(scope="session")
def _annotated(_example: ad.AnnData) -> ad.AnnData:
    adata = _example.copy()
    tam.tl.annotate(adata)
    return adata


@pytest.fixture
def annotated(_annotated: ad.AnnData) -> ad.AnnData:
    """The example data, annotated."""
    return _annotated.copy()


@pytest.fixture(scope="session")
def _learned() -> tuple[ad.AnnData, Prepared]:
    adata = tam.datasets.simulate(
        300, n_samples=1, conditions=("one",), n_genes=3000, composition={"macrophage": 0.9, "t_nk": 0.1}
    )
    with mock.patch("tamannot.tl._annotate.write_run", wraps=write_run) as spy:
        tam.tl.annotate(adata, tissue="brain")
    return adata, spy.call_args.args[1].ready


@pytest.fixture
def learned(_learned: tuple[ad.AnnData, Prepared]) -> ad.AnnData:
    """Simulated macrophages with a classifier of states trained on themselves."""
    return _learned[0].copy()


@pytest.fixture
def cohort(_learned: tuple[ad.AnnData, Prepared]) -> Cohort:
    """What was fitted to them, as the run itself had it."""
    return _learned[1].cohort


@pytest.fixture
def example_file() -> Path:
    """The example as a file."""
    from tamannot._resources import resource_path

    return resource_path("example_data") / "oligodendroglioma_tirosh2016.h5ad"


@pytest.fixture(scope="session")
def quick_file(_example: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a file from which a new process learns compartments in a third of the time.

    Of the genes of the reference, it has those of signatures only; its macrophages are the same 19.
    """
    signatures = {gene.symbol for signature in tam.load_signatures().values() for gene in signature.genes}
    left_out = set(load_profiles("human")[0]) - signatures
    path = tmp_path_factory.mktemp("quick") / "example.h5ad"
    _example[:, ~_example.var_names.isin(left_out)].copy().write_h5ad(path)
    return path


@pytest.fixture
def tiny() -> ad.AnnData:
    """Twelve cells of random counts over 40 genes of the library, in a fixed order."""
    rng = np.random.default_rng(7)
    genes = [g.symbol for g in tam.load_signature("lipid_associated@1.0.0").genes][:20]
    genes += [g.symbol for g in tam.load_signature("inflammatory@1.0.0").genes][:20]
    counts = rng.poisson(1.0, (12, 40)).astype(np.float32)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(12)])
    return ad.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes))


@pytest.fixture(scope="session")
def labelled() -> Callable[[str], ad.AnnData]:
    """Read a labelled data set by its name; skip where they are absent."""
    folder = os.environ.get("TAMANNOT_TEST_DATA")

    def read(name: str) -> ad.AnnData:
        path = Path(folder or "") / f"{name}.h5ad"
        if not folder or not path.is_file():
            pytest.skip(f"labelled data are absent: TAMANNOT_TEST_DATA={folder!r} has no {path.name}")
        return ad.read_h5ad(path)

    return read


@pytest.fixture(scope="session")
def _tumours() -> tuple[ad.AnnData, ad.AnnData]:
    """Three samples to learn from, and two others that have noise and a type that no signature knows."""
    cells = tam.datasets.simulate(
        150, n_samples=5, n_genes=6000, depth=6000, n_noise_cells=10, n_unknown_cells=10, rng=0
    )
    late = cells.obs["sample"].isin(cells.obs["sample"].cat.categories[3:]).to_numpy()
    known = ~cells.obs["truth_compartment"].isin(["noise", "unknown"]).to_numpy()
    return cells[~late & known].copy(), cells[late].copy()


@pytest.fixture(scope="session")
def _anchored(_tumours) -> tam.AnchoredModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tam.errors.TamannotWarning)
        return tam.tl.train(_tumours[0], sample_key="sample", tissue="brain")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., object]]:
    """Run the command line; return exit code, stdout and stderr.

    Its progress knows no time, so that a busy machine does not make it speak.
    """
    monkeypatch.setitem(Progress.__init__.__kwdefaults__, "clock", lambda: 0.0)

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tamannot", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    yield call
    tam.settings.threads = None


@pytest.fixture
def workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes of many files where there is fork: to start them anew is to import all again.

    How the package itself starts them is tested in ``cli/test_many_files.py``.
    """
    if sys.platform == "linux":
        monkeypatch.setattr("tamannot.io._batch.get_context", lambda _: get_context("fork"))


@pytest.fixture(scope="session")
def umap_kept() -> None:
    """What umap compiles, which takes seconds, is kept on disk, as are the kernels of the package."""
    for name in ("umap_", "layouts", "utils"):
        for function in vars(import_module(f"umap.{name}")).values():
            if isinstance(function, Dispatcher) and function.__module__.startswith("umap."):
                with suppress(RuntimeError):  # no folder may be written
                    function.enable_caching()


PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")


@pytest.fixture
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, and neither arranged nor painted, which takes most of the time of a report."""
    monkeypatch.setattr("tamannot.pl._style._arrange", lambda *_: None)
    monkeypatch.setattr("tamannot.report._analyses._MOST_CARDS", 1)
    monkeypatch.setattr("tamannot.report._blocks._painted", lambda _, kind: PIXEL if kind == "png" else b"<svg/>")
    monkeypatch.setattr("tamannot.report._embedding.computed", lambda *_: None)


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no pictures, which take seconds to make."""
    for module in ("_blocks", "_embedding"):
        monkeypatch.setattr(f"tamannot.report.{module}.drawn", lambda _, **__: None)
    monkeypatch.setattr("tamannot.report._embedding.computed", lambda *_: None)
