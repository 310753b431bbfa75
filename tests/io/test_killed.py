"""Runs of the command that are killed at random moments."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import tamannot as tam
from tamannot.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the command is a fork"),
    pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3", "ignore:Variable names are not unique"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

# Four moments, one a way, unless more are asked for: each takes two runs of the command.
MOMENTS = int(os.environ.get("TAMANNOT_TEST_KILLS", "4"))
WAYS = ("new.h5ad", "input.h5ad", "new.zarr", "existing.zarr")
# Most of a run is computing: every second kill waits until the output is being written.
WRITING_TAKES = 0.5


@dataclass
class Case:
    source: Path
    out: Path
    old: dict[str, str] | None
    """Digests of what is to be replaced."""


@pytest.fixture
def case(request, tmp_path, example_file, example, bytes_of) -> Case:
    way = WAYS[request.param % len(WAYS)]
    suffix = Path(way).suffix
    source = tmp_path / f"in{suffix}"
    if suffix == ".h5ad":
        shutil.copy(example_file, source)
    else:
        example.write_zarr(source)
    out = source if way.startswith("input") else tmp_path / f"out{suffix}"
    if way.startswith("existing"):
        example[:50].copy().write_zarr(out)
    return Case(source, out, bytes_of(out) if out.exists() else None)


IN_PLACE = {True: ["--in-place"], False: []}


def start(case: Case) -> ForkProcess:
    """Run the command in a fork of this process, which has imported what it needs."""
    words = ["annotate", case.source, "-o", case.out, "--overwrite", *IN_PLACE[case.out == case.source], "--quiet"]
    process = get_context("fork").Process(target=command, args=(["tamannot", *map(str, words)],))
    process.start()
    return process


def command(words: list[str]) -> None:
    with Path(os.devnull).open("w") as sys.stderr:
        sys.argv = words
        main()


def is_whole(path: Path) -> bool:
    back = ad.read_h5ad(path) if path.suffix == ".h5ad" else ad.read_zarr(path)
    return back.n_obs == 184 and "tam_state" in back.obs and "tam" in back.uns["tamannot"] and back.X.nnz == 770_139


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a whole run takes here."""
    from tamannot._resources import resource_path

    source = resource_path("example_data") / "oligodendroglioma_tirosh2016.h5ad"
    began = time.monotonic()
    process = start(Case(source, tmp_path_factory.mktemp("whole") / "out.h5ad", None))
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


# One moment by day, in which the output is written: tests of signals, full disks and failed steps are beside this one.
BY_DAY = len(WAYS)


@pytest.mark.parametrize(
    ("case", "moment"),
    [(BY_DAY, BY_DAY), *(pytest.param(i, i, marks=pytest.mark.nightly) for i in range(MOMENTS) if i != BY_DAY)],
    indirect=["case"],
)
def test_a_killed_run_leaves_the_input_and_no_part_of_an_output(case, moment, request, tmp_path, bytes_of):
    rng = np.random.default_rng(moment)
    before = bytes_of(case.source)
    part = case.out.with_name(f".{case.out.name}.tamannot-part{case.out.suffix}")
    writing = moment // len(WAYS) % 2
    seconds = 0.0 if writing else request.getfixturevalue("seconds")
    process = start(case)
    if writing:
        while process.is_alive() and not part.exists():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, WRITING_TAKES))
    else:
        time.sleep(rng.uniform(0, seconds))
    process.kill()
    process.join()

    if case.source != case.out:
        assert bytes_of(case.source) == before
    if case.out.exists() and bytes_of(case.out) != case.old:
        assert is_whole(case.out)
    else:
        assert case.out.exists() == (case.old is not None)

    tam.annotate_file(case.source, case.out, overwrite=True, in_place=case.out == case.source)
    assert is_whole(case.out)
    assert {p.name for p in tmp_path.iterdir()} == {case.source.name, case.out.name}
    if case.source != case.out:
        assert bytes_of(case.source) == before
