"""Dask arrays, on the schedulers of dask: the same bits as in memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import MatrixError, ParameterError

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'tamannot[dask]'")
da = pytest.importorskip("dask.array")

pytestmark = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")

TABLES = ("tam_scores", "tam_z", "tam_p", "tam_origin_proba", "tam_state_proba", "tam_ferroptosis")
METHODS = {"u": "ucell", "a": "aucell", "m": "module", "w": "mean"}
N = 300


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two processes on this machine, which is the active scheduler as long as a test runs."""
    distributed = pytest.importorskip(
        "distributed", reason="distributed is not installed: pip install 'tamannot[dask]'"
    )
    settings = {
        "distributed.comm.timeouts.connect": "60s",
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": "1",
        # Where it is possible, one process imports for all that are started.
        "distributed.worker.multiprocessing-method": "spawn" if sys.platform == "win32" else "forkserver",
    }
    with dask.config.set(settings):
        distributed.utils.get_mp_context().set_forkserver_preload(["distributed", "tamannot.tl._annotate"])
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as both,
            distributed.Client(both, set_as_default=False) as client,
        ):
            yield client


@pytest.fixture(params=["synchronous", "threads", pytest.param("cluster", marks=pytest.mark.slow)])
def scheduler(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each of the schedulers in turn."""
    with active(request.getfixturevalue("cluster")) if request.param == "cluster" else on(request.param):
        yield


def on(name: str) -> Any:
    return dask.config.set(scheduler=name)


def active(client: Any) -> Any:
    return client.as_current()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn from 200 cells, so that the others are called where they are."""
    monkeypatch.setattr("tamannot.scoring._rows.MOST_CELLS", 200)
    monkeypatch.setattr("tamannot.scoring._rows.RUN", 50)


def cells() -> ad.AnnData:
    mix = {"macrophage": 0.9, "t_nk": 0.1}
    return tam.datasets.simulate(N, n_samples=1, conditions=("one",), n_genes=3000, composition=mix)


@pytest.fixture(scope="module")
def _in_memory() -> ad.AnnData:
    adata = cells()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamannot.scoring._rows.MOST_CELLS", 200)
        patch.setattr("tamannot.scoring._rows.RUN", 50)
        tam.tl.annotate(adata, tissue="brain")
    assert list(adata.uns["tamannot"]["tam"]["learned"])  # heads travel, too
    assert any(note.startswith("Fitted to 200 of 300 cells") for note in adata.uns["tamannot"]["tam"]["warnings"])
    return adata


@pytest.fixture
def in_memory(_in_memory: ad.AnnData) -> ad.AnnData:
    return _in_memory.copy()


def chunked(adata: ad.AnnData, rows: int | tuple[int, ...] = 64) -> ad.AnnData:
    """Return the cells with X in chunks of CSR rows."""
    lazy = ad.AnnData(obs=adata.obs[[]].copy(), var=adata.var[[]].copy())
    lazy.X = da.from_array(sp.csr_matrix(adata.X), chunks=(rows, adata.n_vars), asarray=False)
    return lazy


def assert_same(found: ad.AnnData, expected: ad.AnnData) -> None:
    pd.testing.assert_frame_equal(tam.get.annotations(found), tam.get.annotations(expected))
    for name in TABLES:
        pd.testing.assert_frame_equal(found.obsm[name], expected.obsm[name])


def test_annotations_are_those_in_memory_on_every_scheduler(in_memory, few, scheduler):
    lazy = chunked(in_memory)
    tam.tl.annotate(lazy, tissue="brain")
    assert_same(lazy, in_memory)
    assert isinstance(lazy.X, da.Array)


def score(adata: ad.AnnData) -> ad.AnnData:
    sets = tam.load_signatures(axis="state")
    tam.tl.score(adata, sets, method=METHODS, min_coverage=0)
    tam.tl.score(adata, sets, null="matched", min_coverage=0)
    return adata


@pytest.fixture(scope="module")
def _scored_in_memory(_example: ad.AnnData) -> ad.AnnData:
    return score(_example.copy())


@pytest.fixture
def scored_in_memory(_scored_in_memory: ad.AnnData) -> ad.AnnData:
    """The example, scored by every method, and by one with a null."""
    return _scored_in_memory.copy()


def test_scores_are_those_in_memory_on_every_scheduler(example, scored_in_memory, scheduler):
    lazy = score(chunked(example))
    for key in (*METHODS, "tam"):
        pd.testing.assert_frame_equal(tam.get.scores(lazy, key), tam.get.scores(scored_in_memory, key))
    for kind in ("z", "p"):
        pd.testing.assert_frame_equal(tam.get.scores(lazy, kind=kind), tam.get.scores(scored_in_memory, kind=kind))


def test_kernels_stay_at_home(example, monkeypatch):
    cloudpickle = pytest.importorskip("cloudpickle")
    from tamannot.data._dask import DaskRows

    lazy, sets, sent, mapped = chunked(example), tam.load_signatures(axis="state"), [], DaskRows.mapped

    def watched(self: Any, work: Any, *about: Any, step: int) -> Any:
        sent.append(cloudpickle.dumps(work))
        return mapped(self, work, *about, step=step)

    monkeypatch.setattr(DaskRows, "mapped", watched)
    with on("synchronous"):
        tam.tl.score(lazy, sets, method=METHODS, min_coverage=0)
        tam.tl.score(lazy, sets, null="matched", min_coverage=0)
    assert len(sent) > len(METHODS)
    assert not any(b"numba" in work for work in sent)  # a kernel that is sent is compiled anew by each worker


def recorded(adata: ad.AnnData, folder: Path, *, kill_at: int = 0) -> ad.AnnData:
    """Return the cells with chunks that note who reads the second of them; one reader is killed while it does."""
    lazy, folder_name = chunked(adata), str(folder)

    def read(chunk: Any, block_info: Any = None) -> Any:
        # a function of a function: workers cannot import this file
        import os
        import signal
        from pathlib import Path

        if block_info and block_info[0]["chunk-location"][0] == 1:
            n = len(list(Path(folder_name).iterdir())) + 1
            with Path(folder_name, str(n)).open("x") as file:
                file.write(str(os.getpid()))
            if n == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    lazy.X = lazy.X.map_blocks(read, dtype=lazy.X.dtype, meta=lazy.X._meta)
    return lazy


def readers(folder: Path) -> list[int]:
    return [int((folder / str(n + 1)).read_text()) for n in range(len(list(folder.iterdir())))]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_worker_killed_while_it_calls_changes_no_result(in_memory, few, cluster, tmp_path):
    quiet, killing = tmp_path / "quiet", tmp_path / "killing"
    for folder in (quiet, killing):
        folder.mkdir()
    with on("synchronous"):
        tam.tl.annotate(recorded(in_memory, quiet), tissue="brain")
    last = len(readers(quiet))  # to look, to learn, to call
    lazy = recorded(in_memory, killing, kill_at=last)
    with active(cluster):
        tam.tl.annotate(lazy, tissue="brain")
    assert_same(lazy, in_memory)
    pids = readers(killing)
    assert len(pids) > last  # it was read again
    assert os.getpid() not in pids  # cells are called by the workers alone


def read_lazy(adata: ad.AnnData, path: Path) -> ad.AnnData:
    pytest.importorskip("xarray", reason="xarray is not installed: pip install 'tamannot[dask]'")
    (adata.write_zarr if path.suffix == ".zarr" else adata.write_h5ad)(path)
    return ad.experimental.read_lazy(path)


@pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3")
@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr"])
@pytest.mark.parametrize("to", [sp.csr_matrix, sp.csc_matrix, lambda x: x.toarray()], ids=["csr", "csc", "dense"])
def test_read_lazy_gives_what_read_gives(example, scored_in_memory, tmp_path, name, to):
    expected, sets = scored_in_memory, tam.load_signatures(axis="state")
    example.X = to(example.X)
    lazy = read_lazy(example, tmp_path / name)
    copy = tam.tl.score(lazy, sets, null="matched", min_coverage=0, copy=True)
    for kind in ("score", "z", "p"):
        pd.testing.assert_frame_equal(tam.get.scores(copy, kind=kind), tam.get.scores(expected, kind=kind))
    pd.testing.assert_frame_equal(copy.obs, example.obs)
    assert not isinstance(lazy.obs, pd.DataFrame)
    assert not lazy.obsm


def test_columns_of_a_lazy_table_are_used_as_if_it_were_loaded(example, tmp_path):
    example.raw = example.copy()
    example.X = example.X * -1
    lazy = read_lazy(example, tmp_path / "a.h5ad")
    how: dict[str, Any] = {
        "compartment_key": ("author_label", {"Microglia/Macrophage": "macrophage"}),
        "sample_key": "patient",
    }
    for adata in (example, lazy):
        tam.tl.annotate(adata, **how)
    assert_same(lazy, example)
    assert lazy.uns["tamannot"]["tam"]["matrix"]["name"] == "raw"


def test_what_was_annotated_lazily_is_written_and_read(example, tmp_path):
    lazy = read_lazy(example, tmp_path / "a.h5ad")
    tam.tl.annotate(lazy)
    lazy.write_h5ad(tmp_path / "b.h5ad")
    back = ad.read_h5ad(tmp_path / "b.h5ad")
    np.testing.assert_array_equal(back.X.toarray(), example.X.toarray())
    pd.testing.assert_frame_equal(tam.get.annotations(back), tam.get.annotations(lazy))


def test_chunks_of_any_size_give_the_same(example, monkeypatch):
    monkeypatch.setattr("tamannot.data._dask._AT_ONCE", 16)
    monkeypatch.setattr("tamannot.scoring._rows.MOST_CELLS", 100)
    monkeypatch.setattr("tamannot.scoring._rows.RUN", 20)
    lazy = chunked(example, (1, 50, 0, 100, 33))
    for adata in (example, lazy):
        tam.tl.annotate(adata)
    assert_same(lazy, example)


@pytest.mark.parametrize("to", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, np.asarray])
def test_chunks_that_split_genes_are_put_together_and_it_is_said(example, to, caplog):
    sets = tam.load_signatures(axis="state")
    lazy = chunked(example)
    x = da.from_array(example.X.toarray(), chunks=(64, 4000))
    lazy.X = x.map_blocks(to, dtype=x.dtype, meta=to(np.empty((0, 0), x.dtype)))
    tam.tl.score(lazy, sets, min_coverage=0)
    assert "Each row of X is split over 3 chunks" in caplog.text
    tam.tl.score(example, sets, min_coverage=0)
    pd.testing.assert_frame_equal(tam.get.scores(lazy), tam.get.scores(example))


def test_values_that_no_look_has_seen_are_checked_where_they_are_read(tiny, monkeypatch):
    monkeypatch.setattr("tamannot.data._dask._LOOKS", 3)
    lazy = chunked(tiny, 1)

    def spoil(chunk: Any, block_info: Any = None) -> Any:
        return -chunk if block_info and block_info[0]["chunk-location"][0] == 7 else chunk

    lazy.X = lazy.X.map_blocks(spoil, dtype=lazy.X.dtype, meta=lazy.X._meta)
    with pytest.raises(MatrixError, match=r"Rows 7 to 8 of X have negative values.*counts"):
        tam.tl.score(lazy, tam.load_signatures(axis="state"), min_coverage=0)
    assert not lazy.obsm


def test_a_worker_of_another_version_is_refused(tiny):
    from tamannot.data._dask import _Task

    with pytest.raises(ParameterError, match=r"worker has tamannot .* this session has 0\.0\.0"):
        _Task([range(12)], [()], None, "0.0.0")(lambda block: block, tiny.X)


class FakeClient:
    """Computes when asked for the result, and notes how much is waited for."""

    def __init__(self) -> None:
        self.ahead = self.most = 0
        self.cancelled: list[Any] = []

    def nthreads(self) -> dict[str, int]:
        return {"one": 2, "two": 3}

    def compute(self, task: int) -> FakeClient:
        self.ahead += 1
        self.most = max(self.most, self.ahead)
        return self

    def result(self) -> list[int]:
        self.ahead -= 1
        return [0]

    def cancel(self, futures: list[Any]) -> None:
        self.cancelled = futures


def test_few_tasks_are_in_flight_however_many_chunks_there_are():
    from tamannot.data._dask import _in_flight

    client = FakeClient()
    assert len(list(_in_flight(client, (([range(1)], i) for i in range(1000))))) == 1000
    assert client.most == 11


def test_who_stops_early_leaves_no_task_behind():
    from tamannot.data._dask import _in_flight

    client = FakeClient()
    found = _in_flight(client, (([range(1)], i) for i in range(1000)))
    next(found)
    found.close()
    assert len(client.cancelled) == 10


@pytest.mark.nightly
def test_the_script_of_the_docs_runs(annotated, example, tmp_path):
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'tamannot[dask]'")
    root = Path(tam.__file__).parents[1]
    page = root / "docs" / "dask.md"
    if not page.is_file():
        pytest.skip("an installed package has no docs")
    script = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "script.py").write_text(script.group(1))
    example.write_h5ad(tmp_path / "atlas.h5ad")
    ran = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    table = pd.read_csv(tmp_path / "atlas_annotations.csv", index_col=0, keep_default_na=False)
    for name in ("compartment", "origin", "state"):
        column = next(c for c in table if c.endswith(name))
        assert table[column].tolist() == tam.get.annotations(annotated)[column].astype(str).tolist()
