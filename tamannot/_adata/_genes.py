"""Which column of ``var`` holds the gene ids."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tamannot._adata._slots import texts_of
from tamannot._printable import among
from tamannot.errors import ParameterError
from tamannot.genes import GeneIndex, Species, recognise_species, strip_genome_prefix, without_versions
from tamannot.signature import Gene, Signature

# Names that CELLxGENE, Cell Ranger and scanpy give to columns of gene ids.
_KNOWN_COLUMNS = ("feature_name", "gene_ids", "gene_name", "gene_symbols")


def gene_index(
    var: pd.DataFrame, signatures: Mapping[str, Signature], gene_symbols: str | None
) -> tuple[GeneIndex, str, int]:
    """Return the index of gene ids that finds most signature genes, its name, and how many it finds.

    Parameters
    ----------
    var
        Genes of the matrix.
    signatures
        What is to be found.
    gene_symbols
        Column to use; None tries the index and the columns of known names.

    Raises
    ------
    ParameterError
        There is no such column.
    """
    sources = _sources(var, gene_symbols)
    genes = list({g.key: g for s in signatures.values() for g in s.all_genes}.values())
    indices = {name: GeneIndex(ids, _other_ids(sources, name)) for name, ids in sources.items()}
    found = {name: _count(index, genes) for name, index in indices.items()}
    # The first of equals: var_names before columns.
    best = gene_symbols or max(found, key=lambda name: found[name])
    return indices[best], best, found[best]


def ids_by(var: pd.DataFrame, name: str) -> list[str]:
    """Return the gene ids that an index by this name has: ``var_names`` or a column; empty if there is none."""
    if name != "var_names" and name not in var.columns:
        return []
    ids = var.index if name == "var_names" else _column(var, name)
    return without_versions(strip_genome_prefix(texts_of(ids)))


def species_of_ids(var: pd.DataFrame, gene_symbols: str | None) -> Species:
    """Return the species that the ids of ``var`` belong to, by the first column that tells."""
    seen = (recognise_species(ids) for ids in _sources(var, gene_symbols).values())
    return next((s for s in seen if s != "unknown"), "unknown")


def _sources(var: pd.DataFrame, gene_symbols: str | None) -> dict[str, list[str]]:
    if gene_symbols is not None and gene_symbols not in var.columns:
        msg = f"No column '{gene_symbols}' in var.{among(gene_symbols, var.columns)}"
        raise ParameterError(msg)
    names = [gene_symbols] if gene_symbols else [c for c in _KNOWN_COLUMNS if c in var.columns]
    sources = {name: strip_genome_prefix(texts_of(_column(var, name))) for name in names}
    index = {"var_names": strip_genome_prefix(texts_of(var.index))}
    # The index stays at hand for ids that stand twice in the named column.
    return sources | index if gene_symbols else index | sources


def _column(var: pd.DataFrame, name: str) -> pd.Series:
    column = var[name]
    if isinstance(column, pd.DataFrame):
        msg = f"var has more than one column '{name}'. Give each a name of its own."
        raise ParameterError(msg)
    return column


def _other_ids(sources: dict[str, list[str]], name: str) -> list[str] | None:
    others = [ids for other, ids in sources.items() if other != name]
    return next((ids for ids in others if len(set(ids)) == len(ids)), others[0] if others else None)


def _count(index: GeneIndex, genes: list[Gene]) -> int:
    known = index.known
    others = [g for g in genes if g.symbol not in known]
    return len(genes) - len(others) + sum(index.find(g.symbol, g.ensembl) >= 0 for g in others)
