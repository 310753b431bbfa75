"""Rows that are not at hand: the work goes to where they are, and only results come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from tamannot._settings import in_order
from tamannot.scoring._rows import RowBlock, RowSource

T = TypeVar("T")
About = Callable[[range], tuple[Any, ...]]


def nothing(_rows: range) -> tuple[Any, ...]:
    """Say nothing about some rows."""
    return ()


@runtime_checkable
class RowsElsewhere(RowSource, Protocol):
    """A row source that works on its rows itself, perhaps by other processes."""

    def blocks(self, runs: Sequence[range]) -> list[RowBlock]:
        """Return the rows of several runs, fetched all at once, in their order; a run may come in pieces."""

    def mapped(self, work: Callable[..., T], about: About = nothing, *, step: int) -> Iterator[tuple[range, T]]:
        """Give out rows and ``work(block, *about(rows))``, in their order; ``work`` is sent out once.

        Blocks have ``step`` rows at most; only a few results are ahead of whoever takes them.
        """


def each_block(
    rows: RowSource, work: Callable[..., T], about: About = nothing, *, threads: int, step: int
) -> Iterator[tuple[range, T]]:
    """Give out rows and ``work(block, *about(rows))``, block by block in their order, wherever the rows are.

    Parameters
    ----------
    rows
        The matrix.
    work
        Must hold nothing that another process could not be told.
    about
        What it takes beside the rows.
    threads
        For rows at hand.
    step
        Rows of a block, at most.
    """
    if isinstance(rows, RowsElsewhere):
        return rows.mapped(work, about, step=step)

    def here(start: int, stop: int) -> tuple[range, T]:
        mine = range(start, stop)
        return mine, work(rows.block(start, stop), *about(mine))

    return in_order(here, rows.shape[0], threads=threads, step=step)
