"""Rows of dask arrays: every chunk of rows is a task of whichever scheduler is active."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import dask
import numpy as np
from dask.array import Array as DaskArray
from dask.base import get_scheduler
from dask.system import CPU_COUNT

from tamannot._resources import package_version
from tamannot.data._rows import Check
from tamannot.errors import ParameterError
from tamannot.scoring._rows import About, RowBlock, joined, rows_in_memory

T = TypeVar("T")

# Rows that a task works on at once: a chunk may be far larger.
_AT_ONCE = 2048
# Rows of a block that is put together from chunks of genes: fewer blocks read those less often.
_PUT_TOGETHER = 16_384
# Chunks that are looked at, and rows of each; of fewer chunks all.
_LOOKS, _ROWS_A_LOOK = 32, 4096
# Tasks in flight, for each thread that works on them; workers may come and go, so they are counted now and then.
_AHEAD, _RECOUNT, _FEWEST = 2, 16, 4


class DaskRows:
    """Rows of a dask array, checked where they are read; dense or sparse chunks that split genes are put together."""

    in_memory = False

    def __init__(self, matrix: DaskArray, check: Check | None = None) -> None:
        if len(matrix.chunks[1]) > 1:
            matrix = matrix.rechunk({0: min(max(matrix.chunks[0]), _PUT_TOGETHER), 1: -1})
        self._matrix, self._check = matrix, check
        self._ends = [0, *np.cumsum(self._matrix.chunks[0]).tolist()]
        self.step = int(max(self._matrix.chunks[0]))
        self.shape: tuple[int, int] = tuple(matrix.shape)

    def block(self, start: int, stop: int) -> RowBlock:
        """Return rows ``start`` to ``stop``."""
        return joined(self.blocks([range(start, stop)]))

    def blocks(self, runs: Sequence[range]) -> list[RowBlock]:
        """Return the rows of several runs, computed all at once, in their order; a run may come in pieces."""
        pieces = [piece for run in runs for piece in self._within_chunks(run)]
        tasks = [self._delayed(_Task([piece], [()], self._check), lambda block: block) for piece in pieces]
        return [block for (block,) in dask.compute(*tasks)]

    def mapped(self, work: Callable[..., T], about: About | None = None, *, step: int) -> Iterator[tuple[range, T]]:
        """Yield rows and ``work(block, *about(rows))``, in their order; ``work`` is sent out once."""
        at_once = min(step, _AT_ONCE)
        chunks = self._within_chunks(range(self.shape[0]))
        cut = ([rows[i : i + at_once] for i in range(0, len(rows), at_once)] for rows in chunks)
        tasks = (_Task(mine, [about(m) if about else () for m in mine], self._check) for mine in cut)
        # The client of `dask.distributed`, if it is what would compute the matrix.
        client: Any = getattr(get_scheduler(collections=[self._matrix]), "__self__", None)
        if hasattr(client, "submit") and hasattr(client, "nthreads"):
            # A task like any other, not scattered data: a scheduler makes anew what is lost with a worker.
            sent = client.submit(lambda work: work, work, pure=False)
            found = _in_flight(client, ((task.spans, self._delayed(task, sent)) for task in tasks))
        else:
            sent = dask.delayed(work, traverse=False, pure=False)
            found = _in_batches((task.spans, self._delayed(task, sent)) for task in tasks)
        for spans, results in found:
            yield from zip(spans, results, strict=True)

    def looks(self, look: Callable[[Any, int], T], *, whole: bool) -> tuple[list[T], int]:
        """Return what ``look(chunk, n_chunks)`` says where some or all chunks are, and how many rows they have."""
        n = len(self._ends) - 1
        some = range(n) if whole or n <= _LOOKS else [i * (n - 1) // (_LOOKS - 1) for i in range(_LOOKS)]
        most = None if whole or n <= _LOOKS else _ROWS_A_LOOK
        chunks = (range(self._ends[i], self._ends[i + 1]) for i in some)
        spans = [chunk[:most] for chunk in chunks if chunk]
        said = dask.delayed(look, traverse=False, pure=False)
        found = dask.compute(*[said(self._part(span.start, span.stop), len(spans)) for span in spans])
        return list(found), sum(map(len, spans))

    def _within_chunks(self, run: range) -> Iterator[range]:
        """Cut a run of rows where chunks end."""
        first = int(np.searchsorted(self._ends, run.start, side="right")) - 1
        for begin, end in zip(self._ends[first:-1], self._ends[first + 1 :], strict=True):
            if begin >= run.stop:
                return
            if end > begin:
                yield range(max(begin, run.start), min(end, run.stop))

    def _delayed(self, task: _Task, work: Any) -> Any:
        rows = self._part(task.spans[0].start, task.spans[-1].stop)
        return dask.delayed(task, traverse=False, pure=False)(work, rows)

    def _part(self, start: int, stop: int) -> Any:
        """Return rows of one chunk, delayed; of a slice, since `to_delayed` walks over all chunks it is given."""
        return self._matrix[start:stop].to_delayed(optimize_graph=False).item()


@dataclass(frozen=True)
class _Task:
    """What is done with the rows of a chunk, block by block on one thread; dask has its own for other chunks."""

    spans: list[range]
    about: list[tuple[Any, ...]]
    check: Check | None
    version: str = package_version()

    def __call__(self, work: Callable[..., T], chunk: Any) -> list[T]:
        if self.version != package_version():
            raise ParameterError(
                f"A dask worker has tamannot {package_version()}, but this session has {self.version}. "
                "Install the same version on both."
            )
        rows, first = rows_in_memory(chunk), self.spans[0].start
        results = []
        for mine, about in zip(self.spans, self.about, strict=True):
            block = rows.block(mine.start - first, mine.stop - first)
            if self.check is not None:
                self.check(block, mine.start, mine.stop)
            results.append(work(block, *about))
        return results


def _in_batches(tasks: Iterable[tuple[list[range], Any]]) -> Iterator[tuple[list[range], list[Any]]]:
    tasks, n = iter(tasks), _AHEAD * 2 * int(dask.config.get("num_workers", None) or CPU_COUNT)
    while batch := list(islice(tasks, n)):
        results = dask.compute(*(task for _, task in batch))
        yield from zip((spans for spans, _ in batch), results, strict=True)


def _in_flight(client: Any, tasks: Iterable[tuple[list[range], Any]]) -> Iterator[tuple[list[range], list[Any]]]:
    waiting: deque[tuple[list[range], Any]] = deque()
    most = 0
    try:
        for i, (spans, task) in enumerate(tasks):
            if i % _RECOUNT == 0:
                most = _AHEAD * max(_FEWEST, sum(client.nthreads().values()))
            waiting.append((spans, client.compute(task)))
            if len(waiting) > most:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        client.cancel([future for _, future in waiting])
