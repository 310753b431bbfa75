"""What was learned from cells, and suffices to annotate any other block of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tamannot import models
from tamannot.pipeline._panels import METHOD
from tamannot.pipeline._resemblance import Resemblance
from tamannot.scorers import NullBins


def n_folds_of(questions: Mapping[str, models.Question]) -> int:
    """Return how many folds the heads were fitted on; 0 if there are none."""
    return next((head.n_folds for q in questions.values() for head in q.heads.values()), 0)


@dataclass(frozen=True)
class Lender:
    """The model that knowledge is from, and how it fits the data at hand."""

    digest: str
    cells: str
    """What it was learned from, in words."""
    trained_with: str
    """Version of the package."""
    target_accuracy: float
    n_genes: int
    """Genes that it knows."""
    n_known: int
    """Columns of the data whose gene it knows."""
    coverage: Mapping[str, float]
    """Share of the genes of each axis that are in the data, by the size of their weights."""
    digests: Mapping[str, str]
    """Of the signatures it was learned with, by id."""
    low_coverage: frozenset[str]
    """Axes that have too few of their genes here: origin and state are not called."""


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Nulls, tissue and heads: with these a cell's call depends on no other cell."""

    everyone: NullBins
    """Expression bins of all cells learned from."""
    macrophages: NullBins
    """Of their macrophages; of all if there are too few."""
    brain: bool
    tissue_reason: str
    of_microglia: bool | None = None
    """In a brain sample of macrophages only, whether most are microglia; None elsewhere."""
    questions: Mapping[str, models.Question] = field(default_factory=dict)
    """What was learned, by axis; an axis that is not there is called by the fixed rule."""
    max_rank: int = METHOD.max_rank
    """So many ranks count in the null of everything but compartments."""
    unseen: tuple[str, ...] = ()
    """States that these data cannot show: no other is called where one of them may be there."""
    of_sample: Mapping[str, int] = field(default_factory=dict)
    """Fold of each sample; a cell is called by the folds that did not see its sample."""
    rng: int = 0
    n_cells: int = 0
    n_macrophages: int = 0
    """Learned from."""
    resemblance: Resemblance | None = None
    """A macrophage of other data that is unlike those learned from gets no origin and no state."""
    lender: Lender | None = None
    """None: learned from the cells at hand."""

    @property
    def n_folds(self) -> int:
        """Folds that the heads were fitted on; 0 if there are none."""
        return n_folds_of(self.questions)

    @property
    def tissue(self) -> str:
        """The word for the tissue."""
        return "brain" if self.brain else "other"
