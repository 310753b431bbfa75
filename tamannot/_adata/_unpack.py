"""From an AnnData to what the engine needs: rows, columns of genes, and what they were found to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from anndata import AnnData

from tamannot._adata._features import Features, features_of
from tamannot._adata._genes import gene_index, species_of_ids
from tamannot._adata._kind import KINDS, Kind
from tamannot._adata._lazy import check_adata, loaded
from tamannot._adata._matrix import (
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
        genes = f"{len(self.candidate.var):,} genes"
        line = f"{name}: {self.finding.kind}, {genes}, {self.n_found} signature genes by {self.ids_from}"
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
    species: Species
    features: Features
    """Which features of the matrix are genes, and what the others are."""
    looks: tuple[str, ...] = field(default=())
    """One line a candidate matrix: what it was found to be."""
    caveat: str = ""
    """What a user should know of its values."""
    advice: str = ""
    """How its rows would be read faster."""

    @property
    def note(self) -> str:
        """Say what a user should know of the matrix: which it is unless X or asked for, what it holds, what is slow."""
        plain = len(self.looks) == 1 or self.matrix == "X"
        which = "" if plain else f"Using {self.matrix} ({self.kind}). Candidates: {'; '.join(self.looks)}."
        said = (self.features.describe(), self.caveat)
        return " ".join([*filter(None, (which, *(f"In {self.matrix} {s}." for s in said if s), self.advice))])


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
    best = _best(looks, prefer)
    while best is not None and not best.finding.judged and not signed:
        finding = judged(best.finding, row_source(best.candidate.matrix, best.candidate.features.columns))
        looks = [replace(look, finding=finding) if look is best else look for look in looks]
        best = _best(looks, prefer)
    if best is None:
        raise MatrixError(_no_matrix(looks, adata, forced=layer is not None))
    kind: Kind = best.finding.kind or "linear"
    features = best.candidate.features
    seen = data_species(best.index, species)
    check_species(seen, signatures)
    if best.n_found == 0:
        raise GeneIdError(_no_gene(best))
    return Unpacked(
        rows=checked_rows(best.candidate.matrix, best.candidate.name, kind, features.columns, best.finding.rows),
        index=best.index,
        matrix=best.candidate.name,
        kind=kind,
        ids_from=best.ids_from,
        species=seen,
        looks=tuple(look.describe() for look in looks),
        features=features,
        caveat=best.finding.caveat,
        advice=advice_on(best.candidate),
    )


def _best(looks: list[Look], prefer: Sequence[Kind]) -> Look | None:
    """Return the usable matrix with most signature genes; of equals one without a caveat, then the preferred kind."""

    def worth(look: Look) -> tuple[int, bool, int]:
        return look.n_found, not look.finding.caveat, -prefer.index(look.finding.kind or "linear")

    return max((look for look in looks if look.finding.kind), key=worth, default=None)


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
    everywhere = [features_of(loaded(part.var)).var for part in (adata, adata.raw) if part is not None]
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
        finding = _finding(candidate, signed=signed)
        same = (id(candidate.var), column)
        if same not in by_var:
            by_var[same] = gene_index(candidate.var, signatures, column)
        looks.append(Look(candidate, finding, *by_var[same]))
    return looks


def _finding(candidate: Candidate, *, signed: bool) -> Finding:
    features = candidate.features
    if features.left_out and not len(features.var):
        return Finding(None, f"it has no genes: {features.describe()}")
    return look_at(candidate.matrix, features.columns, signed=signed)


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
