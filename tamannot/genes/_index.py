"""Finding genes among the columns of the data, by the rules of the field and none looser."""

from __future__ import annotations

from collections import Counter
from collections.abc import KeysView, Sequence
from dataclasses import dataclass

from tamannot.errors import GeneIdError
from tamannot.genes._table import GeneTable, human_genes, without_version, without_versions


@dataclass(frozen=True)
class Substitution:
    """A gene that was found under another symbol than its approved one."""

    symbol: str
    found_as: str


class GeneIndex:
    """The columns of a data set by gene id.

    A literal match always wins; then the Ensembl id; then a former symbol that belonged to this gene
    alone. Every use of a former symbol is recorded in `substitutions`.

    Parameters
    ----------
    ids
        Gene ids of the columns: symbols, or Ensembl ids with or without version.
    second_ids
        Further ids of the same columns, looked at only where an id of the first kind stands twice.
    """

    def __init__(self, ids: Sequence[str], second_ids: Sequence[str] | None = None) -> None:
        self.ids = without_versions(ids)
        # From the last to the first, so that of equal ids the first column stays.
        self._column = dict(zip(reversed(self.ids), range(len(self.ids) - 1, -1, -1), strict=True))
        self._repeated = {i for i, n in Counter(self.ids).items() if n > 1} if len(self._column) < len(ids) else set()
        self._second = without_versions(second_ids) if second_ids is not None else None
        self._used: dict[str, str] = {}

    @property
    def substitutions(self) -> tuple[Substitution, ...]:
        """The substitutions made so far, by symbol."""
        return tuple(Substitution(s, f) for s, f in sorted(self._used.items()))

    @property
    def known(self) -> KeysView[str]:
        """The ids of the columns, each once."""
        return self._column.keys()

    @property
    def second_ids(self) -> list[str]:
        """The further ids of the columns; empty if there are none."""
        return self._second or []

    def locate(self, symbol: str, ensembl: str | None = None) -> int:
        """Return the column of a gene, or -1 if it is not in the data.

        Raises
        ------
        GeneIdError
            The id stands for several columns and nothing tells them apart.
        """
        if symbol in self._column and symbol not in self._repeated:
            return self._column[symbol]
        names = _names(symbol, ensembl, human_genes())
        found_as = self._first_of(names)
        if found_as is None:
            return -1
        if found_as not in names[:_EXACT]:
            self._used[symbol] = found_as
        return self._only_column(found_as, names)

    def find(self, symbol: str, ensembl: str | None = None) -> int:
        """Return the first column of a gene, or -1; unlike `locate`, records and refuses nothing."""
        if symbol in self._column:
            return self._column[symbol]
        found_as = self._first_of(_names(symbol, ensembl, human_genes()))
        return -1 if found_as is None else self._column[found_as]

    def _first_of(self, names: list[str]) -> str | None:
        return next((n for n in names if n and n in self._column), None)

    def _only_column(self, found_as: str, names: list[str]) -> int:
        if found_as not in self._repeated:
            return self._column[found_as]
        columns = [c for c, i in enumerate(self.ids) if i == found_as]
        if self._second is not None:
            second = self._second
            by_second = [c for c in columns if second[c] and second[c] in names]
            if len(by_second) == 1:
                return by_second[0]
        msg = (
            f"Gene '{found_as}' stands for {len(columns)} columns (numbers {', '.join(map(str, columns[:5]))}). "
            "Keep one of them, or add a var column 'gene_ids' with Ensembl ids that tells them apart."
        )
        raise GeneIdError(msg)


# Of the names of a gene, the first three are one gene's own: symbol, Ensembl id, and the symbol of that id.
_EXACT = 3


def _names(symbol: str, ensembl: str | None, table: GeneTable) -> list[str]:
    """Return the names a gene may have in the data, best first; empty where there is none."""
    own = without_version(symbol)
    approved = table.symbol_of.get(own) or table.approved_of.get(own, own)
    ensembl = ensembl or table.ensembl.get(approved, "")
    return [own, ensembl, table.symbol_of.get(own, ""), approved, *table.former.get(approved, ())]
