"""Finding genes among the columns of the data, by the rules of the field and none looser."""

from __future__ import annotations

from collections import Counter
from collections.abc import KeysView, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tamannot.errors import GeneIdError
from tamannot.signature._spelling import DATED, Lookalikes, Spelling
from tamannot.signature._table import GeneTable, human_genes, without_version, without_versions


@dataclass(frozen=True)
class Substitution:
    """A gene that was found under another symbol than its approved one."""

    symbol: str
    found_as: str


class GeneIndex:
    """The columns of a data set by gene id.

    A literal match always wins; then the Ensembl id; then a former symbol that belonged to this gene
    alone; then a name as another program spells it (``HLA.DRA``, ``cd68``, ``1-Sep``), unless it is a name of
    another gene. Every use of another name is recorded in `substitutions`.

    Parameters
    ----------
    ids
        Gene ids of the columns: symbols, or Ensembl ids with or without version.
    second_ids
        Further ids of the same columns, looked at only where an id of the first kind stands twice.
    written
        The ids that the data have in another form, by column.
    species
        Of the data; None recognises it from the ids where that is needed.
    """

    def __init__(
        self,
        ids: Sequence[str],
        second_ids: Sequence[str] | None = None,
        *,
        written: Mapping[int, str] | None = None,
        species: str | None = None,
    ) -> None:
        self.ids = without_versions(ids)
        # From the last to the first, so that of equal ids the first column stays.
        self._column = dict(zip(reversed(self.ids), range(len(self.ids) - 1, -1, -1), strict=True))
        self._repeated = {i for i, n in Counter(self.ids).items() if n > 1} if len(self._column) < len(ids) else set()
        self._second = without_versions(second_ids) if second_ids is not None else None
        self._written = written or {}
        self._spelling = Spelling(self.ids, species)
        self._used: dict[str, str] = {}
        self._unclear: dict[str, tuple[str, ...]] = {}

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
        if symbol in self._column and symbol not in self._repeated and not self._written:
            return self._column[symbol]
        names = _names(symbol, ensembl, human_genes())
        found_as = self._first_of(names)
        if found_as is None:
            if names[0].upper().startswith(DATED):
                self._unclear |= {i: genes for i, genes in self._dates[1].items() if names[0].upper() in genes}
            return -1
        column = self._only_column(found_as, names)
        if column in self._written or found_as not in names[:_EXACT]:
            self._used[symbol] = self._written.get(column, found_as)
        return column

    def find(self, symbol: str, ensembl: str | None = None) -> int:
        """Return the first column of a gene, or -1; unlike `locate`, records and refuses nothing."""
        if symbol in self._column:
            return self._column[symbol]
        found_as = self._first_of(_names(symbol, ensembl, human_genes()))
        return -1 if found_as is None else self._column[found_as]

    def nearest(self, symbol: str, *, slips: bool = True) -> list[str]:
        """Return ids of the data, at most two, that may be meant by a name that is not among them."""
        dates = [i for i, genes in self._dates[1].items() if symbol.upper() in genes]
        return (dates + self._lookalikes.of(symbol, slips=slips))[:2]

    @cached_property
    def _lookalikes(self) -> Lookalikes:
        return Lookalikes(self.ids)

    @property
    def note(self) -> str:
        """Say which dates could stand for two of the genes that were looked for."""
        return " ".join(
            f"The gene id '{i}', made by a spreadsheet, could be {' or '.join(genes)}: it is taken for neither."
            for i, genes in self._unclear.items()
        )

    def standard_name(self, column: int) -> str:
        """Return the name that the gene of a column has, of how the data spell it."""
        gene_id = self.ids[column]
        dated = next((gene for gene, i in self._dates[0].items() if i == gene_id), "")
        return dated or self._spelling.standard(gene_id)

    def _first_of(self, names: list[str]) -> str | None:
        there = next((n for n in names if n and n in self._column), None)
        return there or self._respelled(names)

    def _respelled(self, names: list[str]) -> str | None:
        known = human_genes().names
        dated = next((self._dates[0].get(n.upper()) for n in names if n.upper().startswith(DATED)), None)
        words = (w for n in names if n for w in self._spelling.of(n) if w in self._column)
        return dated or next((w for w in words if w not in known or self._spelling.species == "mouse"), None)

    @cached_property
    def _dates(self) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Ids that are dates by the one gene that each can be, and those that can be several."""
        table, lost = human_genes(), dict[str, tuple[str, ...]]()
        for gene_id, genes in self._spelling.dates.items():
            own = {g: [g, table.ensembl[g] or g, *table.former.get(g, ())] for g in genes}
            # A gene that is there under a name of its own is not the one that became a date.
            lost[gene_id] = tuple(
                g for g in genes if not any(n in self._column or n.capitalize() in self._column for n in own[g])
            )
        ids_of = Counter(g for genes in lost.values() for g in genes)
        clear = {i: g[0] for i, g in lost.items() if len(g) == 1 and ids_of[g[0]] == 1 and i not in self._repeated}
        return {g: i for i, g in clear.items()}, {i: g for i, g in lost.items() if g and i not in clear}

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
