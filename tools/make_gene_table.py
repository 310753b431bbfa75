"""Write the gene table that ships with tamannot from tables of HGNC symbols.

usage: python tools/make_gene_table.py HGNC.tsv[.gz] [CURATED.tsv] OUT.tsv.gz

Both inputs have the columns ``symbol``, ``ensembl_id`` and ``previous_symbols`` (``|`` between values);
a row of the second takes precedence. Out: symbol, Ensembl id, and the previous symbols that may stand
for the gene: those that belonged to exactly one gene and are themselves no approved symbol.
"""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from pathlib import Path

import pandas as pd


def main(inputs: list[str], out: str) -> None:
    """Merge the tables, resolve the previous symbols and write the result."""
    tables = [pd.read_csv(p, sep="\t", dtype=str, keep_default_na=False) for p in inputs]
    merged = pd.concat(tables).drop_duplicates("symbol", keep="last").sort_values("symbol")
    previous = {row.symbol: _names(row.previous_symbols) for row in merged.itertuples()}
    owners = Counter(name for names in previous.values() for name in names)
    approved = set(merged.symbol)
    lines = ["symbol\tensembl\tprevious"]
    for row in merged.itertuples():
        usable = [n for n in previous[row.symbol] if owners[n] == 1 and n not in approved]
        lines.append(f"{row.symbol}\t{row.ensembl_id}\t{'|'.join(usable)}")
    # mtime=0: the same tables give the same bytes.
    Path(out).write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
    print(f"{out}: {len(merged)} genes, {sum(map(bool, owners))} previous symbols, {Path(out).stat().st_size} bytes")


def _names(field: str) -> list[str]:
    return [n for n in dict.fromkeys(field.split("|")) if n]


if __name__ == "__main__":
    main(sys.argv[1:-1], sys.argv[-1])
