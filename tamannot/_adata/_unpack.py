"""From an AnnData to what the engine needs: rows, columns of genes, and what they were found to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from anndata import AnnData

from tamannot._adata._genes import gene_index, species_of_ids
from tamannot._adata._kind import KINDS, Kind
from tamannot._adata._lazy import check_adata, loaded
from tamannot._adata._matrix import Candidate, Finding, advice_on, candidates, checked_rows, layer_names, look_at
from tamannot.errors import GeneIdError, MatrixError, ParameterError, SpeciesError
from tamannot.genes import GeneIndex, Species, recognise_species
from tamannot.kernels._rows import RowSource
from tamannot.signature import Signature, bundled_species

SpeciesChoice = Literal["auto", "human", "mouse"]


@dataclass(frozen=True)
class Look:
    """A candidate matrix after a look at it."""

    candidate: Candidate
    finding: Finding
    index: GeneIndex
    ids_from: str
    n_found: int

    def describe(self) -> str:
        """Say in one line what the matrix holds."""
        name = self.candidate.name
        if self.finding.kind is None:
            return f"{name}: not usable, {self.finding.problem}"
        n_vars = self.candidate.matrix.shape[1]
        return f"{name}: {self.finding.kind}, {n_vars:,} genes, {self.n_found} signature genes by {self.ids_from}"


@dataclass(frozen=True)
class Unpacked:
    """What the engine takes from an AnnData."""

    rows: RowSource
    index: GeneIndex
    matrix: str
    kind: str
    ids_from: str
    species: Species
    looks: tuple[str, ...] = field(default=())
    """One line a candidate matrix: what it was found to be."""
    advice: str = ""
    """How its rows would be read faster."""

    @property
    def note(self) -> str:
        """Say which matrix is used, and why, unless it is X, or was asked for; and what makes it slow."""
        plain = len(self.looks) == 1 or self.matrix == "X"
        which = "" if plain else f"Using {self.matrix} ({self.kind}). Candidates: {'; '.join(self.looks)}."
        return " ".join(filter(None, (which, self.advice)))


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
        The signatures are of another species.
    ParameterError
        No such layer or column.
    """
    looks = look_around(adata, signatures, layer=layer, gene_symbols=gene_symbols, signed=signed)
    usable = [look for look in looks if look.finding.kind]
    if not usable:
        raise MatrixError(_no_matrix(looks, adata, forced=layer is not None))
    best = max(usable, key=lambda k: (k.n_found, -prefer.index(k.finding.kind or "linear")))
    kind: Kind = best.finding.kind or "linear"
    seen = data_species(best.index, species)
    check_species(seen, signatures)
    if best.n_found == 0:
        raise GeneIdError(_no_gene(best))
    return Unpacked(
        rows=checked_rows(best.candidate.matrix, best.candidate.name, kind),
        index=best.index,
        matrix=best.candidate.name,
        kind=kind,
        ids_from=best.ids_from,
        species=seen,
        looks=tuple(look.describe() for look in looks),
        advice=advice_on(best.candidate),
    )


def species_of(adata: AnnData, *, gene_symbols: str | None, species: SpeciesChoice) -> Literal["human", "mouse"]:
    """Return the species to take signatures of: the user's word, or what the ids say; human if they say nothing.

    Raises
    ------
    ParameterError
        The word is not one of those known, or there is no such column.
    """
    check_adata(adata)
    _check_word(species)
    if species != "auto":
        return species
    everywhere = [loaded(part.var) for part in (adata, adata.raw) if part is not None]
    columns = [gene_symbols if gene_symbols in var.columns else None for var in everywhere[1:]]
    seen = (species_of_ids(v, c) for v, c in zip(everywhere, [gene_symbols, *columns], strict=True))
    return "mouse" if next((s for s in seen if s != "unknown"), "human") == "mouse" else "human"


def look_around(
    adata: AnnData,
    signatures: Mapping[str, Signature],
    *,
    layer: str | None,
    gene_symbols: str | None,
    signed: bool = False,
) -> list[Look]:
    """Look at every candidate matrix and its gene ids."""
    looks = []
    by_var: dict[tuple[int, str | None], tuple[GeneIndex, str, int]] = {}
    for candidate in candidates(adata, layer):
        # raw has genes of its own, and a column named by the user may be in one var only
        column = gene_symbols if candidate.name != "raw" or gene_symbols in candidate.var.columns else None
        finding = look_at(candidate.matrix, signed=signed)
        same = (id(candidate.var), column)
        if same not in by_var:
            by_var[same] = gene_index(candidate.var, signatures, column)
        looks.append(Look(candidate, finding, *by_var[same]))
    return looks


def data_species(index: GeneIndex, species: SpeciesChoice) -> Species:
    """Return the species of the data: the user's word, or what the ids say.

    Raises
    ------
    ParameterError
        The word is not one of those known.
    """
    _check_word(species)
    return recognise_species(index.ids) if species == "auto" else species


def _check_word(species: str) -> None:
    if species not in ("auto", "human", "mouse"):
        msg = f"species is 'auto', 'human' or 'mouse', not {species!r}."
        raise ParameterError(msg)


def check_species(seen: Species, signatures: Mapping[str, Signature]) -> None:
    """Refuse signatures of another species than the data.

    Raises
    ------
    SpeciesError
        The message names the call that loads the right ones.
    """
    others = sorted({s.species for s in signatures.values()} - {"any", seen})
    if seen != "unknown" and others:
        msg = (
            f"The gene ids of the data are {seen}, the signatures {others[0]}. "
            f'Use load_signatures(species="{seen}"), or say species="{others[0]}" if the ids are misread.'
        )
        if seen not in bundled_species():
            msg += f" {seen.title()} signatures are not in this release."
        raise SpeciesError(msg)


def _no_matrix(looks: list[Look], adata: AnnData, *, forced: bool) -> str:
    what = "; ".join(look.describe() for look in looks)
    others = [name for name in layer_names(adata) if name not in {look.candidate.name for look in looks}]
    hint = f" Other layers: {', '.join(others)}; name one with layer=." if others else ""
    todo = "Use another layer." if forced else "Put counts or log-normalised values into layers['counts'], raw or X."
    return f"No usable expression matrix. {what}. {todo}{hint}"


def _no_gene(look: Look) -> str:
    first = ", ".join(look.index.ids[:3])
    return (
        f"No known gene: none of the {len(look.index.ids):,} ids by {look.ids_from} (first: {first}) is a gene of "
        "the signatures. If another column of var has symbols or Ensembl ids, name it with gene_symbols=."
    )
