"""Both names of the genes of a data set: symbols and Ensembl ids."""

from __future__ import annotations

import re
from collections import Counter

from tamannot.signature._index import GeneIndex
from tamannot.signature._table import human_genes

_ENSEMBL = re.compile(r"ENS(MUS)?G[0-9]{11}", re.ASCII)


def names_of(index: GeneIndex) -> tuple[list[str], list[str]]:
    """Return a symbol and an Ensembl id of each column; the id is ``""`` where none is known.

    The symbol is the id itself where that is all there is. A column that no name tells from another, or whose
    name could not be written into a file, has neither: both are ``""``.
    """
    second = index.second_ids or [""] * len(index.ids)
    own = [index.standard_name(c) for c in range(len(index.ids))]
    pairs = [_pair(one, two) for one, two in zip(own, second, strict=True)]
    shared = {s for s, n in Counter(s for s, _ in pairs).items() if n > 1}
    # Of columns that share a symbol the Ensembl id is the name, if there is one.
    symbols = [e if s in shared else s for s, e in pairs]
    shared_ids = {e for e, n in Counter(e for _, e in pairs).items() if n > 1}
    repeated = {s for s, n in Counter(symbols).items() if n > 1}
    bad = [not s or s in repeated or s in shared_ids or not _is_name(s) for s in symbols]
    return (
        ["" if b else s for s, b in zip(symbols, bad, strict=True)],
        ["" if b or e in shared_ids else e for (_, e), b in zip(pairs, bad, strict=True)],
    )


def _pair(one: str, two: str) -> tuple[str, str]:
    table = human_genes()
    if _ENSEMBL.fullmatch(one):
        return table.symbol_of.get(one) or ("" if _ENSEMBL.fullmatch(two) else two) or one, one
    if _ENSEMBL.fullmatch(two):
        return one, two
    return one, table.ensembl.get(table.approved_of.get(one, one), "")


def _is_name(text: str) -> bool:
    return text.isprintable() and text == text.strip() and len(text) <= 1000
