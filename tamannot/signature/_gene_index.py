"""Finding genes among the columns of the data, by the rules of the field and none looser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from tamannot.errors import GeneIdError
from tamannot.signature._gene_ids import human_genes, recognise_species, without_versions

_MONTHS = {"mar": 3, "mrz": 3, "mär": 3, "sep": 9, "sept": 9, "dec": 12, "dez": 12}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"X?0?(?P<day>[0-9]{{1,2}})[-./ ]{{1,2}}(?P<month>{_MONTH})(?:[-./ ][0-9]{{2,4}})?"
    rf"|(?P<month2>{_MONTH})[-./ ]0?(?P<day2>[0-9]{{1,2}})"
    r"|[0-9]{4}-(?P<month3>03|09|12)-(?P<day3>[0-9]{2})(?: 00:00:00)?",
    re.IGNORECASE,
)
_BEGIN, _LONGEST = "0123456789XMmSsDd", len("2020-03-01 00:00:00")
# The names, today former ones, of which spreadsheets make a date in a month.
_DATED = {3: ("MARCH", "MARC"), 9: ("SEPT",), 12: ("DEC",)}
DATED = ("MARCHF", "MTARC", "SEPTIN", "DELEC1", "SELENOF")  # what the approved symbols of all those genes begin with
_ORF = re.compile(r"^(C[0-9XY]+)ORF(?=[0-9])")
# CD68-1 and CD68.1 are what anndata and R make of the second CD68.
_COPY = re.compile(r"(.{2,})[.-][0-9]{1,2}$")
_MARKS = str.maketrans("", "", "-._")  # in which names of the same letters may differ
# Of the names of a gene, the first three are one gene's own: symbol, Ensembl id, and the symbol of that id.
_EXACT = 3
_ENSEMBL = re.compile(r"ENS(MUS)?G[0-9]{11}", re.ASCII)


class GeneIndex:
    """The columns of a data set by gene id.

    A literal match always wins; then the Ensembl id; then a former symbol that belonged to this gene
    alone; then a name as another program spells it (``HLA.DRA``, ``cd68``, ``1-Sep``), unless it is a name of
    another gene. Every use of another name is recorded in `substitutions`.

    ``ids`` are symbols, or Ensembl ids with or without version; ``second_ids`` of the same columns are looked at only
    where one of the first stands twice; ``written`` are the ids that the data have in another form, by column. A
    ``species`` None is recognised from the ids where it is needed.
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
        self.second_ids = without_versions(second_ids or [""] * len(ids))  # ``""`` where there is none
        # From the last to the first, so that of equal ids the first column stays.
        self._column = dict(zip(reversed(self.ids), range(len(self.ids) - 1, -1, -1), strict=True))
        self._repeated = {i for i, n in Counter(self.ids).items() if n > 1} if len(self._column) < len(ids) else set()
        self._written = written or {}
        self._given_species = species
        self._used: dict[str, str] = {}
        self._unclear: dict[str, tuple[str, ...]] = {}

    @property
    def substitutions(self) -> dict[str, str]:
        """The substitutions made so far: the name that stands for each symbol, sorted."""
        return dict(sorted(self._used.items()))

    @property
    def note(self) -> str:
        """Report dates that could be two of the requested genes."""
        return " ".join(
            f"A spreadsheet turned a gene id into '{i}', which could be {' or '.join(genes)}: it is ignored."
            for i, genes in self._unclear.items()
        )

    def locate(self, symbol: str, ensembl: str | None = None) -> int:
        """Return the column of a gene, or -1 if it is not in the data."""
        if symbol in self._column and symbol not in self._repeated and not self._written:
            return self._column[symbol]
        names = _names(symbol, ensembl)
        found_as = self._first_of(names)
        if found_as is None:
            if names[0].upper().startswith(DATED):
                self._unclear |= {i: genes for i, genes in self._dates[1].items() if names[0].upper() in genes}
            return -1
        column = self._column[found_as]
        if found_as in self._repeated:
            columns = [c for c, i in enumerate(self.ids) if i == found_as]
            by_second = [c for c in columns if self.second_ids[c] and self.second_ids[c] in names]
            if len(by_second) != 1:
                raise GeneIdError(
                    f"Gene '{found_as}' matches {len(columns)} columns (numbers {', '.join(map(str, columns[:5]))}). "
                    "Keep one of them, or add a var column 'gene_ids' with Ensembl ids that distinguish them."
                )
            column = by_second[0]
        if column in self._written or found_as not in names[:_EXACT]:
            self._used[symbol] = self._written.get(column, found_as)
        return column

    def find(self, symbol: str, ensembl: str | None = None) -> int:
        """Return the first column of a gene, or -1; unlike `locate`, records and refuses nothing."""
        if symbol in self._column:
            return self._column[symbol]
        found_as = self._first_of(_names(symbol, ensembl))
        return -1 if found_as is None else self._column[found_as]

    def nearest(self, symbol: str, *, slips: bool = True) -> list[str]:
        """Return ids of the data, at most two, that may be meant by a name that is not among them.

        These are dates of that name, ids of the same letters, copies of a repeated one among them, and with ``slips``
        ids one letter off. The last are suggested only for names that are not genes: CD63 is not a typo of CD68.
        """
        dates = [i for i, genes in self._dates[1].items() if symbol.upper() in genes]
        same = self._by_letters.get(symbol.upper().translate(_MARKS), [])
        if slips and not same and not human_genes().names & {symbol, symbol.upper()}:
            same = [i for i in self.ids if abs(len(i) - len(symbol)) <= 1 and _one_off(i.upper(), symbol.upper())]
        return (dates + list(dict.fromkeys(same)))[:2]

    def standard_name(self, column: int) -> str:
        """Return the name that the gene of a column has, of how the data spell it; the same where that is unknown."""
        gene_id, known = self.ids[column], human_genes().names
        if dated := next((gene for gene, i in self._dates[0].items() if i == gene_id), ""):
            return dated
        if self._is_mouse_in_capitals or (self._is_lower and self._species == "mouse"):
            if gene_id[:3].upper() == "MT-":
                return "mt-" + gene_id[3:].capitalize()
            return "-".join(part.capitalize() for part in gene_id.split("-"))
        if gene_id in known:
            return gene_id
        word = _ORF.sub(r"\1orf", gene_id.upper() if self._is_lower else gene_id)
        return next((w for s in ("-", *self._separators) if (w := word.replace(s, "-")) in known), gene_id)

    def _first_of(self, names: Sequence[str]) -> str | None:
        """Return the first name that is an id, else the date or the other spelling that stands for one."""
        for name in names:
            if name and name in self._column:
                return name
        if self._dates[0]:
            dated = next((self._dates[0].get(n.upper()) for n in names if n.upper().startswith(DATED)), None)
            if dated:
                return dated
        known, is_lower, separators = human_genes().names, self._is_lower, self._separators
        for name in names:
            if name.isupper() and not is_lower and not (separators and "-" in name):
                continue  # most names of absent genes, and none that could be spelled otherwise
            spellings = []
            for word in [name, *(name.replace("-", s) for s in separators)] if "-" in name else [name]:
                spellings.append(word)
                if is_lower:
                    spellings.append(word.lower())
                # C1ORF112 is C1orf112; CD68 is Cd68 only where all names of a mouse are in capitals.
                elif name in known or self._is_mouse_in_capitals:
                    spellings.append(word.upper())
            for word in spellings:
                if word and word in self._column and (word not in known or self._species == "mouse"):
                    return word
        return None

    @cached_property
    def _dates(self) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Ids that are dates by the one gene that each can be, and those that can be several."""
        table, lost = human_genes(), dict[str, tuple[str, ...]]()
        found = {i: m for i in self.ids if i[:1] in _BEGIN and len(i) <= _LONGEST and (m := _DATE.fullmatch(i))}
        for gene_id, match in found.items():
            month = match["month"] or match["month2"] or match["month3"]
            day = int(match["day"] or match["day2"] or match["day3"])
            number = int(month) if month.isdigit() else _MONTHS[month.lower()]
            genes = [g for stem in _DATED[number] if (g := table.approved_of.get(f"{stem}{day}"))]
            genes += ["SELENOF"] if (number, day) == (9, 15) else []  # its former name is SEP15
            own = {g: [g, table.ensembl[g] or g, *table.former.get(g, ())] for g in genes}
            # A gene that is there under a name of its own is not the one that became a date.
            lost[gene_id] = tuple(
                g for g in own if not any(n in self._column or n.capitalize() in self._column for n in own[g])
            )
        ids_of = Counter(g for genes in lost.values() for g in genes)
        clear = {i: g[0] for i, g in lost.items() if len(g) == 1 and ids_of[g[0]] == 1 and i not in self._repeated}
        return {g: i for i, g in clear.items()}, {i: g for i, g in lost.items() if g and i not in clear}

    @cached_property
    def _by_letters(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for i in self.ids:
            found.setdefault(i.upper().translate(_MARKS), []).append(i)
            if copy := _COPY.match(i):
                found.setdefault(copy[1].upper().translate(_MARKS), []).append(i)
        return found

    @cached_property
    def _species(self) -> str:
        return recognise_species(self.ids).species if self._given_species is None else self._given_species

    @cached_property
    def _is_lower(self) -> bool:
        lower = sum(map(str.islower, self.ids))
        return lower > len(self.ids) // 2 and lower > sum(i in human_genes().names for i in self.ids)

    @cached_property
    def _is_mouse_in_capitals(self) -> bool:
        return 2 * sum(map(str.isupper, self.ids)) >= len(self.ids) and self._species == "mouse"

    @cached_property
    def _separators(self) -> tuple[str, ...]:
        """What stands for hyphens: R allows none in a name. Copies of a repeated name end in one and a number."""
        if any("-" in i and not i.rpartition("-")[2].isdigit() for i in self.ids):
            return ()
        return tuple(s for s in "._" if any(s in i for i in self.ids))


@lru_cache(maxsize=2**16)
def _names(symbol: str, ensembl: str | None) -> tuple[str, ...]:
    """Return the names a gene may have in the data, best first; empty where there is none."""
    own, table = without_versions([symbol])[0], human_genes()
    approved = table.symbol_of.get(own) or table.approved_of.get(own, own)
    ensembl = ensembl or table.ensembl.get(approved, "")
    return (own, ensembl, table.symbol_of.get(own, ""), approved, *table.former.get(approved, ()))


def _one_off(one: str, two: str) -> bool:
    start = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    a, b = one[start:], two[start:]
    swapped = a[:1] == b[1:2] and a[1:2] == b[:1] and a[2:] == b[2:]
    return len(two) > 2 and (a[1:] == b[1:] or a[1:] == b or a == b[1:] or swapped)


def names_of(index: GeneIndex) -> tuple[list[str], list[str]]:
    """Return a symbol and an Ensembl id of each column; the id is ``""`` where none is known.

    The symbol is the id itself where that is all there is. A column that no name tells from another, or whose
    name could not be written into a file, has neither: both are ``""``.
    """
    pairs, table = [], human_genes()
    for column, two in enumerate(index.second_ids):
        one = index.standard_name(column)
        if _ENSEMBL.fullmatch(one):
            pairs.append((table.symbol_of.get(one) or ("" if _ENSEMBL.fullmatch(two) else two) or one, one))
        elif _ENSEMBL.fullmatch(two):
            pairs.append((one, two))
        else:
            pairs.append((one, table.ensembl.get(table.approved_of.get(one, one), "")))
    shared = {s for s, n in Counter(s for s, _ in pairs).items() if n > 1}
    # Of columns that share a symbol the Ensembl id is the name, if there is one.
    symbols = [e if s in shared else s for s, e in pairs]
    shared_ids = {e for e, n in Counter(e for _, e in pairs).items() if n > 1}
    repeated = {s for s, n in Counter(symbols).items() if n > 1}
    unfit = {s for s in symbols if not s.isprintable() or s != s.strip() or len(s) > 1000}  # for a file
    bad = [not s or s in repeated or s in shared_ids or s in unfit for s in symbols]
    return (
        ["" if b else s for s, b in zip(symbols, bad, strict=True)],
        ["" if b or e in shared_ids else e for (_, e), b in zip(pairs, bad, strict=True)],
    )
