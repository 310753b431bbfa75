"""The table of approved human genes that ships with the package."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_VERSION = re.compile(r"^(ENS[A-Z]*G\d{11})\.\d+$")

# Aliases that may stand for a gene although they were never its approved symbol. Each was looked at: it
# belongs to no other gene and is no antibody's usual name. Free aliases are not used: MIF is an alias of
# S100A9, NMB of GPNMB, C7 of CXCL10, and all three are genes of their own.
REVIEWED_ALIASES: Mapping[str, str] = {"IBA1": "AIF1", "TREM-2": "TREM2", "TRAIL": "TNFSF10"}


@dataclass(frozen=True)
class GeneTable:
    """Approved symbols with their Ensembl id, and the former symbols that may stand for them.

    A former symbol is in the table only if it belonged to exactly one gene and is itself no approved
    symbol.
    """

    ensembl: Mapping[str, str]
    """Approved symbol → Ensembl id, ``""`` where there is none."""
    former: Mapping[str, tuple[str, ...]]
    """Approved symbol → former symbols and reviewed aliases."""
    approved_of: Mapping[str, str]
    """Former symbol or reviewed alias → approved symbol."""
    symbol_of: Mapping[str, str]
    """Ensembl id → approved symbol."""
    names: frozenset[str]
    """Every approved or former symbol."""


@lru_cache(maxsize=1)
def human_genes() -> GeneTable:
    """Return the table of all approved human genes (HGNC)."""
    text = gzip.decompress((files("tamannot.signature") / "human_genes.tsv.gz").read_bytes()).decode()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    former = {symbol: tuple(names.split("|")) for symbol, _, names in rows if names}
    for alias, symbol in REVIEWED_ALIASES.items():
        former[symbol] = (*former.get(symbol, ()), alias)
    approved_of = {name: symbol for symbol, names in former.items() for name in names}
    return GeneTable(
        ensembl={symbol: ensembl for symbol, ensembl, _ in rows},
        former=former,
        approved_of=approved_of,
        symbol_of={ensembl: symbol for symbol, ensembl, _ in rows if ensembl},
        names=frozenset(symbol for symbol, _, _ in rows) | frozenset(approved_of),
    )


def without_versions(gene_ids: Sequence[str]) -> list[str]:
    """Return Ensembl ids without their version suffix; anything else as it is."""
    return [without_version(i) if "." in i and "ENS" in i else i for i in gene_ids]


def without_version(gene_id: str) -> str:
    """Return an Ensembl id without its version suffix; anything else as it is."""
    match = _VERSION.match(gene_id)
    return match[1] if match else gene_id
