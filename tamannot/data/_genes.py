"""Which column of ``var`` holds the gene ids, and whose genes they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tamannot._printable import among
from tamannot.data._slots import texts_of
from tamannot.errors import ParameterError
from tamannot.signature import OURS, UNKNOWN, Gene, GeneIndex, Ids, Sighting, Signature, read_ids, recognise_species

# Names that CELLxGENE, Cell Ranger, scanpy, Seurat and Bioconductor give to columns of gene ids, in small letters.
_KNOWN_COLUMNS = (
    *("feature_name", "gene_ids", "gene_name", "gene_symbols", "gene_symbol", "gene_names", "gene_short_name"),
    *("symbol", "symbols", "hgnc_symbol", "mgi_symbol", "external_gene_name", "features", "feature", "_index"),
    *("gene", "genes", "gene_id", "ensembl_id", "ensembl_ids", "ensembl", "ensembl_gene_id", "feature_id"),
)
VAR_NAMES = "var_names"


@dataclass(frozen=True)
class Whose:
    """Whose genes a matrix has."""

    seen: Sighting
    ids_from: str
    """The ids that say so: ``var_names`` or a column of ``var``."""
    two_genomes: str
    """Pattern of the mouse ids where prefixes name the genomes of two species; else empty."""


@dataclass(frozen=True)
class Matched:
    """The genes of a matrix, by the ids that find most of those asked for."""

    index: GeneIndex
    ids_from: str
    """``var_names`` or a column of ``var``."""
    n_found: int
    whose: Whose


def gene_index(
    var: pd.DataFrame, signatures: Mapping[str, Signature], gene_symbols: str | None, species: str = "auto"
) -> Matched:
    """Return the genes of a matrix by the ids that find most signature genes.

    Parameters
    ----------
    var
        Genes of the matrix.
    signatures
        What is to be found.
    gene_symbols
        Column to use; None tries the index and the columns of known names.
    species
        Of the data, as the user says; ``"auto"`` recognises it.

    Raises
    ------
    ParameterError
        There is no such column.
    """
    sources = _sources(var, gene_symbols)
    seen = {name: _sighting(own) for name, own in sources.items()}
    genes = list({g.key: g for s in signatures.values() for g in s.all_genes}.values())
    indices = {
        name: GeneIndex(
            own.ids,
            _other_ids(sources, name),
            written=own.written,
            species=seen[name].species if species == "auto" else species,
        )
        for name, own in sources.items()
    }
    found = {name: _count(index, genes) for name, index in indices.items()}
    # The first of equals: var_names before columns.
    best = gene_symbols or max(found, key=lambda name: found[name])
    return Matched(indices[best], best, found[best], _whose(sources, seen, best))


def ids_by(var: pd.DataFrame, name: str) -> list[str]:
    """Return the gene ids that an index by this name has: ``var_names`` or a column; empty if there is none."""
    if name != VAR_NAMES and name not in var.columns:
        return []
    return read_ids(texts_of(var.index if name == VAR_NAMES else _column(var, name))).ids


def whose_genes(var: pd.DataFrame, gene_symbols: str | None) -> Whose:
    """Return whose genes they are.

    Raises
    ------
    ParameterError
        There is no such column.
    """
    sources = _sources(var, gene_symbols)
    return _whose(sources, {name: _sighting(own) for name, own in sources.items()}, next(iter(sources)))


def _sources(var: pd.DataFrame, gene_symbols: str | None) -> dict[str, Ids]:
    """Return the gene ids that ``var`` has, by where; what the user names comes first."""
    if gene_symbols is not None and gene_symbols not in var.columns:
        msg = f"No column '{gene_symbols}' in var.{among(gene_symbols, var.columns)}"
        raise ParameterError(msg)
    sources = {name: read_ids(texts_of(_column(var, name))) for name in _columns(var, gene_symbols)}
    index = {VAR_NAMES: read_ids(texts_of(var.index))}
    # The index stays at hand for ids that stand twice in the named column.
    return sources | index if gene_symbols else index | sources


def _whose(sources: Mapping[str, Ids], seen: Mapping[str, Sighting], first: str) -> Whose:
    """Ask the ids that are used, then the others; ids of Ensembl of another species go before names.

    The genes of a rat are named as those of a mouse, and those of a pig as those of man.
    """
    if both := next((name for name, own in sources.items() if own.two_genomes), None):
        return Whose(Sighting("human", "mouse"), both, sources[both].two_genomes)
    told = [name for name in (first, *seen) if seen[name].species != UNKNOWN] or [first]
    by = next((name for name in told if seen[name].by_ensembl and seen[name].species not in OURS), told[0])
    return Whose(seen[by], by, "")


def _sighting(own: Ids) -> Sighting:
    return recognise_species([e or i for i, e in zip(own.ids, own.ensembl, strict=True)] if own.ensembl else own.ids)


def _columns(var: pd.DataFrame, gene_symbols: str | None) -> list[str]:
    if gene_symbols:
        return [gene_symbols]
    lower = {str(c).lower().replace(" ", "_"): c for c in reversed(var.columns) if isinstance(c, str)}
    known = [lower[name] for name in _KNOWN_COLUMNS if name in lower]
    return [c for c in known if _is_text(_column(var, c))]


def _is_text(column: pd.Series) -> bool:
    """Say whether a column may hold names; numbers are not looked at, as those of Entrez."""
    return not pd.api.types.is_numeric_dtype(column.dtype)


def _column(var: pd.DataFrame, name: str) -> pd.Series:
    column = var[name]
    if isinstance(column, pd.DataFrame):
        msg = f"var has more than one column '{name}'. Give each a name of its own."
        raise ParameterError(msg)
    return column


def _other_ids(sources: Mapping[str, Ids], name: str) -> list[str] | None:
    others = [own.ids for other, own in sources.items() if other != name]
    best = next((ids for ids in others if len(set(ids)) == len(ids)), others[0] if others else None)
    in_one = sources[name].ensembl
    if in_one is None or best is None:
        return in_one or best
    return [e or other for e, other in zip(in_one, best, strict=True)]


def _count(index: GeneIndex, genes: list[Gene]) -> int:
    known = index.known
    others = [g for g in genes if g.symbol not in known]
    return len(genes) - len(others) + sum(index.find(g.symbol, g.ensembl) >= 0 for g in others)
