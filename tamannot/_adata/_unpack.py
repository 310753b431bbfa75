"""From an AnnData to what the engine needs: rows, columns of genes, and what they were found to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
from anndata import AnnData

from tamannot._adata._genes import VAR_NAMES, Matched, gene_index, whose_genes
from tamannot._adata._kind import KINDS, Kind
from tamannot._adata._lazy import loaded
from tamannot._adata._matrix import Candidate, Finding, advice_on, candidates, checked_rows, layer_names, look_at
from tamannot._adata._species import SpeciesChoice, settled_species, species_word
from tamannot.errors import GeneIdError, MatrixError, SpeciesError
from tamannot.genes import OURS, UNKNOWN, GeneIndex
from tamannot.kernels._rows import RowSource
from tamannot.signature import Signature


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
        n_vars, genes = self.candidate.matrix.shape[1], self.genes
        return f"{name}: {self.finding.kind}, {n_vars:,} genes, {genes.n_found} signature genes by {genes.ids_from}"


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
    looks: tuple[str, ...] = field(default=())
    """One line a candidate matrix: what it was found to be."""
    advice: str = ""
    """How its rows would be read faster."""
    on_species: str = ""
    """What there is to say of the species of its genes."""

    @property
    def note(self) -> str:
        """Say which matrix is used, and why, unless it is X, or was asked for; what makes it slow, and odd ids."""
        plain = len(self.looks) == 1 or self.matrix == "X"
        which = "" if plain else f"Using {self.matrix} ({self.kind}). Candidates: {'; '.join(self.looks)}."
        return " ".join(filter(None, (which, self.advice, self.on_species, self.index.note)))


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
    usable = [look for look in looks if look.finding.kind]
    if not usable:
        raise MatrixError(_no_matrix(looks, adata, forced=layer is not None))
    best = max(usable, key=lambda k: (k.genes.n_found, -prefer.index(k.finding.kind or "linear")))
    kind: Kind = best.finding.kind or "linear"
    seen, on_species = settled_species(best.candidate, best.genes.whose, species)
    check_species(seen, signatures)
    if best.genes.n_found == 0:
        raise GeneIdError(_no_gene(best))
    return Unpacked(
        rows=checked_rows(best.candidate.matrix, best.candidate.name, kind),
        index=best.genes.index,
        matrix=best.candidate.name,
        kind=kind,
        ids_from=best.genes.ids_from,
        species=seen,
        looks=tuple(look.describe() for look in looks),
        advice=advice_on(best.candidate),
        on_species=on_species,
    )


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
    genes = {name: loaded(part.var) for name, part in parts.items() if part is not None}
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
        looks.append(Look(candidate, look_at(candidate.matrix, signed=signed), by_var[same]))
    return looks


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
