"""From an AnnData to what the engine needs: rows, columns of genes, and what they were found to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot._settings import SpeciesChoice
from tamannot.data._genes import VAR_NAMES, Features, Matched, features_of, gene_index, whose_genes
from tamannot.data._kind import KINDS, Kind
from tamannot.data._matrix import (
    Candidate,
    Finding,
    advice_on,
    candidates,
    checked_rows,
    judged,
    layer_names,
    look_at,
    row_source,
)
from tamannot.data._slots import check_adata, loaded
from tamannot.data._species import settled_species, species_word
from tamannot.errors import GeneIdError, MatrixError, SpeciesError
from tamannot.scoring._rows import RowSource
from tamannot.signature import OURS, UNKNOWN, GeneIndex, Signature


@dataclass(frozen=True)
class Look:
    """A candidate matrix after a look at it."""

    candidate: Candidate
    finding: Finding
    genes: Matched

    def describe(self) -> str:
        """Say in one line what the matrix holds."""
        name = self.candidate.name
        if self.finding.kind is None:
            return f"{name}: not usable, {self.finding.problem}"
        count = f"{len(self.candidate.var):,} genes"
        genes = self.genes
        line = f"{name}: {self.finding.kind}, {count}, {genes.n_found} signature genes by {genes.ids_from}"
        extra = (self.candidate.features.describe(), self.finding.caveat)
        return ", ".join([line, *filter(None, extra)])


@dataclass(frozen=True)
class Unpacked:
    """What the engine takes from an AnnData."""

    rows: RowSource
    index: GeneIndex
    matrix: str
    kind: str
    ids_from: str
    species: str
    """``human``, ``mouse``, another, or ``unknown``."""
    features: Features
    """Which features of the matrix are genes, and what the others are."""
    looks: tuple[str, ...] = field(default=())
    """One line a candidate matrix: what it was found to be."""
    caveat: str = ""
    """What a user should know of its values."""
    advice: str = ""
    """How its rows would be read faster."""
    on_species: str = ""
    """What there is to say of the species of its genes."""

    @property
    def note(self) -> str:
        """Say what a user should know: which matrix is used, unless X or asked for, what it holds, and what is slow."""
        plain = len(self.looks) == 1 or self.matrix == "X"
        which = "" if plain else f"Using {self.matrix} ({self.kind}). Candidates: {'; '.join(self.looks)}."
        said = [f"In {self.matrix} {s}." for s in (self.features.describe(), self.caveat) if s]
        return " ".join(filter(None, (which, *said, self.advice, self.on_species, self.index.note)))


def unpack(
    adata: AnnData,
    signatures: Mapping[str, Signature],
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    signed: bool = False,
    prefer: Sequence[Kind] = KINDS,
) -> Unpacked:
    """Choose the matrix and the gene ids of an AnnData.

    Parameters
    ----------
    adata
        Not changed.
    signatures
        The matrix that has most of their genes is taken; of equals counts before logarithms before
        linear values.
    layer
        ``"X"``, ``"raw"`` or a layer forces it.
    gene_symbols
        Column of ``var`` with gene ids.
    species
        Species of the data; ``"auto"`` recognises it from the ids.
    signed
        Whether a matrix with negative values can be used.
    prefer
        Which kind is taken of matrices that have as many genes.

    Raises
    ------
    MatrixError
        No usable matrix; the message says of each why.
    GeneIdError
        No gene of the signatures is in the data.
    SpeciesError
        The signatures are of another species than the data, or the data of two.
    ParameterError
        No such layer or column.
    """
    species_word(species)
    looks = look_around(adata, signatures, layer=layer, gene_symbols=gene_symbols, signed=signed, species=species)
    best = _best(looks, prefer)
    while best is not None and not best.finding.judged and not signed:
        finding = judged(best.finding, row_source(best.candidate.matrix, best.candidate.features.columns))
        looks = [replace(look, finding=finding) if look is best else look for look in looks]
        best = _best(looks, prefer)
    if best is None:
        raise MatrixError(_no_matrix(looks, adata, forced=layer is not None))
    kind: Kind = best.finding.kind or "linear"
    features = best.candidate.features
    seen, on_species = settled_species(best.candidate, best.genes.whose, species)
    check_species(seen, signatures)
    if best.genes.n_found == 0:
        raise GeneIdError(_no_gene(best))
    return Unpacked(
        rows=checked_rows(best.candidate.matrix, best.candidate.name, kind, features.columns, best.finding.rows),
        index=best.genes.index,
        matrix=best.candidate.name,
        kind=kind,
        ids_from=best.genes.ids_from,
        species=seen,
        looks=tuple(look.describe() for look in looks),
        features=features,
        caveat=best.finding.caveat,
        advice=advice_on(best.candidate),
        on_species=on_species,
    )


def _best(looks: list[Look], prefer: Sequence[Kind]) -> Look | None:
    """Return the usable matrix with most signature genes; of equals one without a caveat, then the preferred kind."""

    def worth(look: Look) -> tuple[int, bool, int]:
        return look.genes.n_found, not look.finding.caveat, -prefer.index(look.finding.kind or "linear")

    return max((look for look in looks if look.finding.kind), key=worth, default=None)


def data_species(adata: AnnData, *, gene_symbols: str | None, species: SpeciesChoice, layer: str | None = None) -> str:
    """Return the species of the data: the user's word, or what their ids say, which may be ``unknown``.

    Raises
    ------
    ParameterError
        The word is not one of those known, or there is no such layer or column.
    SpeciesError
        The data are of two species.
    """
    if species_word(species) != "auto":
        return str(species)
    # The matrices themselves, which may be on disk, are looked at only where the ids are of two species.
    parts = {"X": adata, "raw": adata.raw} if layer is None else {"raw": adata.raw} if layer == "raw" else {"X": adata}
    genes = {name: features_of(loaded(part.var)).var for name, part in parts.items() if part is not None}
    for (name, var), column in zip(genes.items(), columns_of(list(genes.values()), gene_symbols), strict=True):
        whose = whose_genes(var, column)
        seen = whose.seen.species
        if whose.seen.second:
            of_these = [c for c in candidates(adata, layer) if (c.name == "raw") == (name == "raw")]
            seen = settled_species(of_these[0], whose, species)[0] if of_these else UNKNOWN
        if seen != UNKNOWN:
            return seen
    return UNKNOWN


def species_of(
    adata: AnnData, *, gene_symbols: str | None, species: SpeciesChoice, layer: str | None = None
) -> Literal["human", "mouse"]:
    """Return the species to take signatures of: the user's word, or what the ids say; human if they say nothing.

    Raises
    ------
    ParameterError
        The word is not one of those known, or there is no such layer or column.
    SpeciesError
        The data are of two species, or of another than those that there are signatures of.
    """
    check_adata(adata)
    seen = data_species(adata, gene_symbols=gene_symbols, species=species, layer=layer)
    if seen not in (*OURS, UNKNOWN):
        raise SpeciesError(not_ours(seen))
    return "mouse" if seen == "mouse" else "human"


def look_around(
    adata: AnnData,
    signatures: Mapping[str, Signature],
    *,
    layer: str | None,
    gene_symbols: str | None,
    signed: bool = False,
    species: SpeciesChoice = "auto",
) -> list[Look]:
    """Look at every candidate matrix and its gene ids."""
    looks = []
    by_var: dict[tuple[int, str | None], Matched] = {}
    found = candidates(adata, layer)
    for candidate, column in zip(found, columns_of([c.var for c in found], gene_symbols), strict=True):
        same = (id(candidate.var), column)
        if same not in by_var:
            by_var[same] = gene_index(candidate.var, signatures, column, species)
        looks.append(Look(candidate, _finding(candidate, signed=signed), by_var[same]))
    return looks


def _finding(candidate: Candidate, *, signed: bool) -> Finding:
    features = candidate.features
    if features.left_out and not len(features.var):
        return Finding(None, f"it has no genes: {features.describe()}")
    return look_at(candidate.matrix, features.columns, signed=signed)


def columns_of(found: Sequence[pd.DataFrame], gene_symbols: str | None) -> list[str | None]:
    """Return for each ``var`` the column that the user names; that of raw is another, and one of them may lack it."""
    having = [gene_symbols in var.columns for var in found]
    return [gene_symbols if has or not any(having) else None for has in having]


def check_species(seen: str, signatures: Mapping[str, Signature]) -> None:
    """Refuse signatures of another species than the data.

    Raises
    ------
    SpeciesError
        The message names the call that loads the right ones.
    """
    others = sorted({s.species for s in signatures.values()} - {"any", seen})
    if seen == UNKNOWN or not others:
        return
    if seen not in OURS:
        raise SpeciesError(not_ours(seen))
    msg = (
        f"The gene ids of the data are {seen}, the signatures {others[0]}. "
        f'Use load_signatures(species="{seen}"), or say species="{others[0]}" if the ids are misread.'
    )
    raise SpeciesError(msg)


def not_ours(seen: str) -> str:
    """Say what can be done with data of a species that there are no signatures of."""
    return (
        f"The gene ids are of {seen}, and the signatures are of human and mouse. Put the mouse or human orthologue of "
        'each gene into a column of var, name it with gene_symbols=, and say species="mouse" or species="human".'
    )


def _no_matrix(looks: list[Look], adata: AnnData, *, forced: bool) -> str:
    what = "; ".join(look.describe() for look in looks)
    others = [name for name in layer_names(adata) if name not in {look.candidate.name for look in looks}]
    hint = f" Other layers: {', '.join(others)}; name one with layer=." if others else ""
    todo = "Use another layer." if forced else "Put counts or log-normalised values into layers['counts'], raw or X."
    return f"No usable expression matrix. {what}. {todo}{hint}"


def _no_gene(look: Look) -> str:
    genes, slot = look.genes, "raw.var" if look.candidate.name == "raw" else "var"
    first = ", ".join(genes.index.ids[:3])
    where = f"{slot}_names" if genes.ids_from == VAR_NAMES else f"{slot}['{genes.ids_from}']"
    columns = ", ".join(map(str, look.candidate.var.columns)) or "none"
    return (
        f"No known gene: none of the {len(genes.index.ids):,} ids of {look.candidate.name} by {where} (first: {first}) "
        f"is a gene of the signatures. If another column of {slot} has symbols or Ensembl ids, name it with "
        f"gene_symbols=. Columns: {columns}."
    )
