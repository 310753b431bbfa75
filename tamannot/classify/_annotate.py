"""The pipeline: fit to a sample of the cells, then call all cells block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from tamannot._progress import Progress, silent
from tamannot._settings import AnnotateSettings
from tamannot.classify._call import Cells, Scored, Source
from tamannot.classify._cohort import Cohort
from tamannot.classify._fit import fit
from tamannot.classify._panels import Panels
from tamannot.classify._predict import Calls, call_block
from tamannot.scoring._features import find_scale, learning_rows, taken
from tamannot.scoring._rows import each_block
from tamannot.signature import SignatureSet

# Cells that are called together.
_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set with its fitted cohort, ready for calls."""

    source: Source
    panels: Panels
    cohort: Cohort
    scored: Scored | None = None
    """Scores of all cells, where learning has made them."""

    def blocks(
        self, *, threads: int, report: Progress | None = None, block: int | None = None
    ) -> Iterator[tuple[range, Calls]]:
        """Yield rows and their calls, block by block, in their order; only a few blocks are held at a time.

        ``block`` cells are called together; it changes memory and speed, and no result.
        """
        report, rows = report or silent(), self.source.rows
        step = block or rows.step * max(1, _BLOCK // rows.step)
        report("calling", rows.shape[0])

        def about(mine: range) -> tuple[Cells, Scored | None]:
            here = slice(mine.start, mine.stop)
            return self.source.cells[here], None if self.scored is None else self.scored[here]

        call = partial(call_block, self.panels, self.source.kind, self.cohort)
        for mine, calls in each_block(rows, call, about, threads=threads, step=step):
            report.tick(len(mine))
            yield mine, calls


def prepare(
    source: Source,
    library: SignatureSet,
    settings: AnnotateSettings,
    cohort: Cohort | None = None,
    *,
    threads: int = 1,
    report: Progress | None = None,
) -> Prepared:
    """Fit a cohort to a data set; with a ``cohort`` that exists nothing is fitted to these cells.

    ``library`` has the signatures of all axes of the tables, with the modules of composites; species ``auto`` uses
    those of human. The number of ``threads`` does not change results; ``report`` is called at the begin of each stage.
    """
    report = report or silent()
    panels = Panels(library, source.index, source.rows.shape[1], "mouse" if settings.species == "mouse" else "human")
    if cohort is not None:
        return Prepared(source, panels, cohort)
    rows = source.rows
    runs = learning_rows(rows.shape[0])
    whole = runs == [range(rows.shape[0])]
    report("reading", sum(map(len, runs)))
    sample = taken(rows, runs, threads=threads, tick=report.tick)
    scale = find_scale(sample, source.kind, source.index.ids, threads=threads)
    cells = source.cells if whole else source.cells[[i for run in runs for i in run]]
    learning = replace(source, rows=sample, cells=cells).on_scale(*scale)
    fitted, scored = fit(learning, panels, settings, threads=threads, report=report)
    source = learning if whole else source.on_scale(*scale)
    return Prepared(source, panels, fitted, scored if whole else None)
