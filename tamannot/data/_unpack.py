"""From an AnnData to the input of the engine: the matrix to use, or that of an earlier run, its genes and species."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from tamannot._settings import SpeciesChoice
from tamannot.data._genes import VAR_NAMES, GeneMatch, SpeciesOfIds, features_of, gene_index, ids_by, species_of_ids
from tamannot.data._kind import KINDS, Kind
from tamannot.data._matrix import MatrixInspection, candidates, inspect_rows, inspect_values
from tamannot.data._record import RunRecord
from tamannot.data._rows import Check, is_dask, row_source
from tamannot.data._sections import MatrixOfRun
from tamannot.data._slots import check_adata, loaded, texts_of
from tamannot.errors import GeneIdError, MatrixError, ParameterError, ResultNotFoundError, SpeciesError, TamannotWarning
from tamannot.scoring._plan import check_choice
from tamannot.scoring._rows import DenseRows, RowBlock, RowSource, SomeColumns
from tamannot.signature import OURS, UNKNOWN, GeneIndex, Signature

# A cell is of one species where so large a share of its detected genes is; between is a doublet.
_CLEAR = 2 / 3
# Shares of the cells: of the other species, as stray barcodes are, and in between, as poor cells are.
_STRAY, _BETWEEN = 0.001, 0.1


@dataclass(frozen=True)
class Unpacked:
    """The input of the engine from an AnnData."""

    rows: RowSource
    inspection: MatrixInspection  # the matrix that is used
    matrix: str  # its name
    kind: Kind  # what its values are
    index: GeneIndex
    ids_from: str  # var_names, or the column of var that the ids are from
    species: str  # human, mouse, another, or unknown
    looks: tuple[str, ...] = ()  # one line per candidate matrix with the result of its inspection
    on_species: str = ""  # note on the species of its genes

    @property
    def notes(self) -> dict[str, type[TamannotWarning] | None]:
        """Notes on matrix, kind and storage; a warning if values, ids or an assumed species may make results wrong."""
        plain, matrix = len(self.looks) == 1 or self.matrix == "X", self.inspection.matrix
        which = "" if plain else f"Using {self.matrix} ({self.kind}). Candidates: {'; '.join(self.looks)}."
        said = [f"In {self.matrix} {s}." for s in (self.inspection.features.describe(), self.inspection.caveat) if s]
        slow = ""
        if is_dask(matrix) and (n := len(matrix.chunks[1])) > 1:
            slow = (
                f"Each row of {self.matrix} is split over {n:,} chunks, which are read again for every block of cells. "
                "Chunks of whole rows are faster: store the file by rows, or use matrix.rechunk((2000, -1)).persist()."
            )
        line = " ".join(filter(None, (which, *said, slow, self.on_species, self.index.note)))
        is_warning = self.inspection.caveat or self.index.note or (self.on_species and self.species == UNKNOWN)
        return {line: TamannotWarning if is_warning else None} if line else {}


def unpack(
    adata: AnnData,
    signatures: Mapping[str, Signature],
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    kinds: Sequence[Kind] = KINDS,
) -> Unpacked:
    """Choose the matrix and the gene ids of an AnnData.

    The matrix that has most genes of the signatures is taken; of equals one without a caveat, then the kind that comes
    first in ``kinds``, which its values may be. ``layer`` forces it: ``"X"``, ``"raw"`` or a layer.
    """
    check_choice("species", species, ("auto", "human", "mouse"))
    signed, by_var = "signed" in kinds, dict[tuple[int, str | None], GeneMatch]()
    looks, found = [], candidates(adata, layer)
    for candidate, column in zip(found, columns_of([c.features.var for c in found], gene_symbols), strict=True):
        same = (id(candidate.features.var), column)
        if same not in by_var:
            by_var[same] = gene_index(candidate.features.var, signatures, column, species)
        looks.append(replace(inspect_values(candidate, signed=signed), genes=by_var[same]))
    best = _best(looks, kinds)
    while best is not None and best.rows is None and not signed:
        looks = [inspect_rows(look) if look is best else look for look in looks]
        best = _best(looks, kinds)
    if best is None or best.genes is None:
        others = [name for name in adata.layers if name is not None and name not in {look.name for look in looks}]
        hint = f" Other layers: {', '.join(others)}; choose one with layer=." if others else ""
        todo = "Put counts or log-normalised values into layers['counts'], raw or X." if layer is None else ""
        raise MatrixError(
            f"No usable expression matrix. {'; '.join(look.describe() for look in looks)}. "
            f"{todo or 'Use another layer.'}{hint}"
        )
    seen, on_species = _settled_species(best, best.genes.species, species)
    check_species(seen, signatures)
    if best.genes.n_found == 0:
        raise GeneIdError(_no_gene(best, best.genes))
    kind = best.kind or "linear"
    return Unpacked(
        rows=row_source(best.matrix, best.features.columns, check=Check(best.name, kind), rows=best.rows),
        inspection=best,
        matrix=best.name,
        kind=kind,
        index=best.genes.index,
        ids_from=best.genes.ids_from,
        species=seen,
        looks=tuple(look.describe() for look in looks),
        on_species=on_species,
    )


def _best(looks: list[MatrixInspection], kinds: Sequence[Kind]) -> MatrixInspection | None:
    """Return the usable matrix with most signature genes; of equals one without a caveat, then the preferred kind."""
    worth = {
        look: (look.genes.n_found, not look.caveat, -kinds.index(look.kind))
        for look in looks
        if look.kind and look.genes is not None
    }
    return max(worth, key=lambda look: worth[look], default=None)


_NOT_OURS = (
    "The gene ids are {}, but the signatures are human and mouse. Add the mouse or human orthologue of each "
    'gene as a column of var, pass its name as gene_symbols=, and set species="mouse" or species="human".'
)
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


def _settled_species(inspected: MatrixInspection, whose: SpeciesOfIds, species: SpeciesChoice) -> tuple[str, str]:
    """Return the species of a matrix and a note on it: the user's choice, otherwise by the gene ids."""
    seen = whose.seen
    if species != "auto":
        return species, ""
    if not seen.second:
        return seen.species, _LETTERS.get((seen.letters, seen.species), "")
    # Many ids are of each of two species: the cells decide, if all express one, as when aligned to both genomes.
    ids = f'adata.var["{whose.ids_from}"]' if whose.ids_from != VAR_NAMES else "adata.var_names"
    pattern, one, two = seen.told_apart
    pattern = whose.two_genomes or pattern
    genes = f"genes = np.asarray({ids}.astype(str).str.contains('{pattern}'))"
    to_begin = "import numpy as np; " + ("adata = adata.raw.to_adata(); " if inspected.name == "raw" else "")
    to_begin += "" if inspected.features.var.index.is_unique else "adata.var_names_make_unique(); "
    matrix = "adata.X" if inspected.name in ("X", "raw") else f'adata.layers["{inspected.name}"]'
    found = f"({seen.counts[one]:,} {one}, {seen.counts[two]:,} {two})" if seen.counts else "by their prefix"
    cells = None if whose.two_genomes else _cells_by_species(inspected, whose.ids_from, pattern)
    if cells is not None:
        of_one, of_two, of_both = cells
        best, most, rest = (one, of_one, of_two) if of_one > of_two else (two, of_two, of_one)
        if most and rest <= _STRAY * sum(cells) and of_both <= _BETWEEN * sum(cells):
            note = (
                f"The gene ids are {one} and {two}, but the cells are {best}, so {best} signatures are used. The other "
                f"genes are ranked as well; to remove them: {to_begin}{genes}; "
                f"adata = adata[:, {'genes' if best == one else '~genes'}].copy()"
            )
            return best, note
        found += f", and so are the cells ({of_one:,} {one}, {of_two:,} {two}, {of_both:,} both)"
    first, second = (s if s in OURS else "others" for s in (one, two))
    raise SpeciesError(
        f"The genes are of two species {found}. Split the data, and annotate the cells of each species with its own "
        f"genes: {to_begin}{genes}; "
        f"cells = np.ravel({matrix}[:, genes].sum(axis=1) > {matrix}[:, ~genes].sum(axis=1)); "
        f"{first} = adata[cells, genes].copy(); {second} = adata[~cells, ~genes].copy()"
    )


def _cells_by_species(inspected: MatrixInspection, ids_from: str, pattern: str) -> tuple[int, int, int] | None:
    """Count the cells whose detected genes match, do not match, or are mixed; None if the values do not say."""
    if inspect_values(inspected).kind is None:
        return None
    column = inspected.features.var.index if ids_from == VAR_NAMES else inspected.features.var[ids_from]
    is_one = np.array([bool(re.search(pattern, i)) for i in texts_of(column)])
    rows = row_source(inspected.matrix, inspected.features.columns)
    one = two = n = 0
    for start in range(0, rows.shape[0], rows.step):
        block = rows.block(start, min(start + rows.step, rows.shape[0]))
        detected = block.values > 0
        total = block.totals(detected)
        share = block.totals(detected & is_one[block.indices])[total > 0] / total[total > 0]
        one, two, n = one + int((share >= _CLEAR).sum()), two + int((share <= 1 - _CLEAR).sum()), n + share.size
    return one, two, n - one - two


def data_species(adata: AnnData, *, gene_symbols: str | None, species: SpeciesChoice, layer: str | None = None) -> str:
    """Return the species of the data: the user's word, or what their ids say, which may be ``unknown``."""
    check_choice("species", species, ("auto", "human", "mouse"))
    if species != "auto":
        return str(species)
    # The matrices themselves, which may be on disk, are looked at only where the ids are of two species.
    parts = {"X": adata, "raw": adata.raw} if layer is None else {"raw": adata.raw} if layer == "raw" else {"X": adata}
    genes = {name: features_of(loaded(part.var)).var for name, part in parts.items() if part is not None}
    for (name, var), column in zip(genes.items(), columns_of(list(genes.values()), gene_symbols), strict=True):
        whose = species_of_ids(var, column)
        seen = whose.seen.species
        if whose.seen.second:
            of_these = [c for c in candidates(adata, layer) if (c.name == "raw") == (name == "raw")]
            seen = _settled_species(of_these[0], whose, species)[0] if of_these else UNKNOWN
        if seen != UNKNOWN:
            return seen
    return UNKNOWN


def species_of(
    adata: AnnData, *, gene_symbols: str | None, species: SpeciesChoice, layer: str | None = None
) -> Literal["human", "mouse"]:
    """Return the species to take signatures of: the user's word, or what the ids say; human if they say nothing."""
    check_adata(adata)
    seen = data_species(adata, gene_symbols=gene_symbols, species=species, layer=layer)
    if seen not in (*OURS, UNKNOWN):
        raise SpeciesError(_NOT_OURS.format(seen))
    return "mouse" if seen == "mouse" else "human"


def columns_of(found: Sequence[pd.DataFrame], gene_symbols: str | None) -> list[str | None]:
    """Return for each ``var`` the column that the user names; that of raw is another, and one of them may lack it."""
    having = [gene_symbols in var.columns for var in found]
    return [gene_symbols if has or not any(having) else None for has in having]


def check_species(seen: str, signatures: Mapping[str, Signature]) -> None:
    """Raise if the species of the signatures differs from that of the data."""
    others = sorted({s.species for s in signatures.values()} - {"any", seen})
    if seen == UNKNOWN or not others:
        return
    if seen not in OURS:
        raise SpeciesError(_NOT_OURS.format(seen))
    raise SpeciesError(
        f"The gene ids of the data are {seen}, but the signatures are {others[0]}. "
        f'Use load_signatures(species="{seen}"), or set species="{others[0]}" if the ids were misread.'
    )


def _no_gene(look: MatrixInspection, genes: GeneMatch) -> str:
    slot = "raw.var" if look.name == "raw" else "var"
    first = ", ".join(genes.index.ids[:3])
    where = f"{slot}_names" if genes.ids_from == VAR_NAMES else f"{slot}['{genes.ids_from}']"
    columns = ", ".join(map(str, look.features.var.columns)) or "none"
    return (
        f"No known gene: none of the {len(genes.index.ids):,} ids of {look.name} in {where} (first: {first}) "
        f"is a gene of the signatures. If another column of {slot} has symbols or Ensembl ids, pass its name as "
        f"gene_symbols=. Columns: {columns}."
    )


_NEXT = "Restore the matrix of that run, or run tamannot.tl.annotate(adata) again."


@dataclass(frozen=True)
class RunMatrix:
    """A matrix with the genes of a run."""

    name: str
    kind: str  # counts, linear or log
    matrix: Any
    ids: NDArray[Any]  # gene ids of the columns
    genes: NDArray[Any] | None = None  # the columns of the matrix that are genes; None if all are

    @property
    def n_vars(self) -> int:
        """Genes."""
        return int(self.ids.size)

    def row(self, row: int) -> RowBlock:
        """Return the values of one cell; no other is read, unless a file holds the matrix by columns."""
        # `row_source` would look at all rows of a matrix in memory.
        if is_dask(self.matrix):
            rows = row_source(self.matrix, self.genes)
        else:
            every = DenseRows(self.matrix)
            rows = every if self.genes is None else SomeColumns(every, self.genes)
        return self._checked(rows.block(row, row + 1))

    def blocks(self, chosen: NDArray[Any]) -> Iterator[tuple[RowBlock, NDArray[Any]]]:
        """Yield the cells of a mask and their row numbers, block by block."""
        rows = row_source(self.matrix, self.genes)
        for start in range(0, rows.shape[0], rows.step):
            mine = chosen[start : start + rows.step]
            if mine.any():
                block = rows.block(start, start + mine.size).only(mine)
                yield self._checked(block), start + np.flatnonzero(mine)

    def changed(self, how: str) -> MatrixError:
        """Return the error that describes how the matrix differs from that of the run."""
        return MatrixError(f"The matrix '{self.name}' has changed since the run: {how}. {_NEXT}")

    def _checked(self, block: RowBlock) -> RowBlock:
        values = block.values
        if not (np.isfinite(values) & (values >= 0)).all():
            raise self.changed("it now has negative, infinite or NaN values")
        if self.kind == "counts" and not (values == np.rint(values)).all():
            raise self.changed("it no longer contains counts")
        return block


def matrix_of_run(adata: AnnData, record: RunRecord) -> RunMatrix:
    """Return the matrix that a run used, if it is still there with the same genes in the same order."""
    of_run, seen = record.matrix, record.gene_ids
    found = _still_there(adata, of_run.name)
    matrix = RunMatrix(of_run.name, of_run.kind, found.matrix, seen, found.features.columns)
    if len(found.features.var) != seen.size:
        raise matrix.changed(f"it has {len(found.features.var):,} genes, but the run used {seen.size:,}")
    if ids_by(found.features.var, of_run.gene_ids) != seen.tolist():
        raise matrix.changed(f"its gene ids in {of_run.gene_ids} are different or in another order")
    return matrix


def gene_ids_of(adata: AnnData, matrix: MatrixOfRun) -> NDArray[Any]:
    """Return the gene ids that a matrix of a run has now, by the column that the run took them from."""
    found = ids_by(_still_there(adata, matrix.name).features.var, matrix.gene_ids)
    if not found:
        raise ResultNotFoundError(f"var no longer has the column '{matrix.gene_ids}' with the gene ids of the run.")
    return np.array(found, dtype=object)


def _still_there(adata: AnnData, name: str) -> MatrixInspection:
    try:
        return candidates(adata, name)[0]
    except (ParameterError, MatrixError):
        raise ResultNotFoundError(
            f"The run used the matrix '{name}', which is no longer in the data. {_NEXT}"
        ) from None
