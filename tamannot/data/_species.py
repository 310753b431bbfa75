"""Two species in one matrix: the species that its cells express."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

import numpy as np

from tamannot._settings import SpeciesChoice
from tamannot.data._genes import VAR_NAMES, SpeciesOfIds
from tamannot.data._matrix import MatrixInspection, inspect_values
from tamannot.data._rows import row_source
from tamannot.data._slots import texts_of
from tamannot.errors import ParameterError, SpeciesError
from tamannot.signature import OURS

# A cell is of one species where so large a share of its detected genes is; between is a doublet.
_CLEAR = 2 / 3
# Shares of the cells: of the other species, as stray barcodes are, and in between, as poor cells are.
_STRAY, _BETWEEN = 0.001, 0.1


def species_word(species: str) -> SpeciesChoice:
    """Return the species given by the user."""
    if species not in ("auto", "human", "mouse"):
        msg = f"species must be 'auto', 'human' or 'mouse', not {species!r}."
        raise ParameterError(msg)
    return cast("SpeciesChoice", species)


def settled_species(inspected: MatrixInspection, whose: SpeciesOfIds, species: SpeciesChoice) -> tuple[str, str]:
    """Return the species of a matrix and a note on it: the user's choice, otherwise by the gene ids.

    Where many ids are of each of two species, the cells decide, if all express one of them: those were aligned to
    both genomes.
    """
    seen = whose.seen
    if species != "auto":
        return species, ""
    if not seen.second:
        return seen.species, _LETTERS.get((seen.letters, seen.species), "")
    ids = f'adata.var["{whose.ids_from}"]' if whose.ids_from != VAR_NAMES else "adata.var_names"
    pattern = whose.two_genomes or seen.pattern
    genes = f"genes = np.asarray({ids}.astype(str).str.contains('{pattern}'))"
    to_begin = "import numpy as np; " + ("adata = adata.raw.to_adata(); " if inspected.name == "raw" else "")
    to_begin += "" if inspected.var.index.is_unique else "adata.var_names_make_unique(); "
    matrix = "adata.X" if inspected.name in ("X", "raw") else f'adata.layers["{inspected.name}"]'
    one, two = seen.first, next(s for s in (seen.species, seen.second) if s != seen.first)
    cells = None if whose.two_genomes else _cells(inspected, whose.ids_from, pattern)
    if cells is not None and (best := cells.only(one, two)):
        note = (
            f"The gene ids are {one} and {two}, but the cells are {best}, so {best} signatures are used. The other "
            f"genes are ranked as well; to remove them: {to_begin}{genes}; "
            f"adata = adata[:, {'genes' if best == one else '~genes'}].copy()"
        )
        return best, note
    found = f"({seen.counts[one]:,} {one}, {seen.counts[two]:,} {two})" if seen.counts else "by their prefix"
    if cells is not None:
        found += f", and so are the cells ({cells.one:,} {one}, {cells.two:,} {two}, {cells.both:,} both)"
    first, second = (s if s in OURS else "others" for s in (one, two))
    msg = (
        f"The genes are of two species {found}. Split the data, and annotate the cells of each species with its own "
        f"genes: {to_begin}{genes}; "
        f"cells = np.ravel({matrix}[:, genes].sum(axis=1) > {matrix}[:, ~genes].sum(axis=1)); "
        f"{first} = adata[cells, genes].copy(); {second} = adata[~cells, ~genes].copy()"
    )
    raise SpeciesError(msg)


_LETTERS = {
    ("capitals", "mouse"): (
        "The gene names are mouse symbols in capitals, so mouse signatures are used and the case of names is ignored. "
        'Set species="human" if that is wrong.'
    ),
    ("small", "unknown"): (
        "The gene names are in lower case, which does not show the species: human is assumed. Set "
        'species="mouse" if that is wrong.'
    ),
}


@dataclass(frozen=True)
class _Cells:
    """How many cells express one species, the other, and both."""

    one: int
    two: int
    both: int

    def only(self, one: str, two: str) -> str:
        """Return the species that all cells are of, but for strays; empty if they are of two."""
        n = self.one + self.two + self.both
        best, most, rest = (one, self.one, self.two) if self.one > self.two else (two, self.two, self.one)
        return best if most and rest <= _STRAY * n and self.both <= _BETWEEN * n else ""


def _cells(matrix: MatrixInspection, ids_from: str, pattern: str) -> _Cells | None:
    """Count the cells by the share of their detected genes that match; None if the values do not say."""
    if inspect_values(matrix).kind is None:
        return None
    column = matrix.var.index if ids_from == VAR_NAMES else matrix.var[ids_from]
    search = re.compile(pattern).search
    is_one = np.array([bool(search(i)) for i in texts_of(column)])
    rows = row_source(matrix.matrix, matrix.features.columns)
    one = two = n = 0
    for start in range(0, rows.shape[0], rows.step):
        block = rows.block(start, min(start + rows.step, rows.shape[0]))
        detected = block.values > 0
        total = block.totals(detected)
        share = block.totals(detected & is_one[block.indices])[total > 0] / total[total > 0]
        one, two, n = one + int((share >= _CLEAR).sum()), two + int((share <= 1 - _CLEAR).sum()), n + share.size
    return _Cells(one, two, n - one - two)
