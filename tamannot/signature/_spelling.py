"""Gene names as other programs leave them: in quotes, two ids in one, in another case, or as dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tamannot.signature._species import recognise_species, strip_genome_prefix
from tamannot.signature._table import human_genes, without_versions

_ENSEMBL = r"ENS[A-Z]{0,4}G[0-9]{11}"
_MARKS = ("'", '"', " ", "\t", "\r", "\xa0", "\ufeff", "__chr")
_IN_ENSEMBL_IDS = "G00000"
_GLUES = ("_", ":", "|", ";", ",", "/", "(", " ", "-E", ".E")
_PLACE = re.compile(r"__chr[0-9A-Za-z_.]+$")  # "CD68__chr17", as CEL-seq tables have it
_GLUE = r"[\s_:|;,/.-]+"
_TWO = re.compile(
    rf"(?:(?P<before>.+?){_GLUE}\(?)?(?P<ensembl>{_ENSEMBL})(?:\.[0-9]+)?\)?(?:{_GLUE}(?P<after>.+))?", re.ASCII
)
_NO_SYMBOL = ("gene", "gene_id", "nan", "na", "none", "par_y")

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
DATED = ("MARCHF", "MTARC", "SEPTIN", "DELEC1", "SELENOF")
"""What the approved symbols of all those genes begin with."""
_FIFTEENTH = {(9, 15): ("SELENOF",)}  # SEP15


@dataclass(frozen=True)
class Ids:
    """Gene ids without what other programs put around them."""

    ids: list[str]
    """Without the version of Ensembl ids."""
    ensembl: list[str] | None
    """Where ids hold a symbol and an Ensembl id, the latter; ``""`` where there is none."""
    written: Mapping[int, str]
    """The ids that were something else, as the data have them, by column."""
    two_genomes: str
    """Pattern of the mouse ids where prefixes name the genomes of two species; else empty."""


def read_ids(texts: Sequence[str]) -> Ids:
    """Return gene ids without genome, quotes, blanks, positions and versions, and the second of two in one."""
    text, written = "\n".join(texts), dict[int, str]()
    ids = list(texts)
    if any(mark in text for mark in _MARKS):
        ids = [_unwrapped(i) or i for i in texts]
        written = {c: t for c, (t, i) in enumerate(zip(texts, ids, strict=True)) if t != i}
    ids, two_genomes = strip_genome_prefix(ids)
    two, ensembl = dict[int, tuple[str, str]](), None
    if _IN_ENSEMBL_IDS in text and any(glue in text for glue in _GLUES):
        two = {c: m for c, i in enumerate(ids) if _IN_ENSEMBL_IDS in i and (m := _two_in_one(i))}
    if two:
        # The symbol alone is the gene, and CELLxGENE's "TBCE_ENSG00000284770" another one.
        alone = set(ids)
        two = {c: m for c, m in two.items() if m[0] not in alone}
        written |= {c: texts[c] for c in two}
        ensembl = [two[c][1] if c in two else "" for c in range(len(ids))]
        ids = [two[c][0] if c in two else i for c, i in enumerate(ids)]
    return Ids(without_versions(ids) if _IN_ENSEMBL_IDS in text else ids, ensembl, written, two_genomes)


def _unwrapped(text: str) -> str:
    text = _PLACE.sub("", text.strip().lstrip("\ufeff"))
    if text[:2] in ("b'", 'b"'):
        text = text[1:]
    return text.strip("'\"").strip()


def _two_in_one(text: str) -> tuple[str, str] | None:
    match = _TWO.fullmatch(text)
    symbol = match and (match["before"] or match["after"])
    if not match or not symbol:
        return None
    if symbol.lower() in _NO_SYMBOL:
        return None if symbol == "PAR_Y" else (match["ensembl"], match["ensembl"])
    return symbol, match["ensembl"]


class Spelling:
    """How the names of a list of ids are spelled, where that is not how genes are named.

    Parameters
    ----------
    ids
        Gene ids of the data.
    species
        Of the data; None recognises it from the ids.
    """

    def __init__(self, ids: Sequence[str], species: str | None = None) -> None:
        self._ids = ids
        self._species = species

    def of(self, name: str) -> Iterator[str]:
        """Give out how else the ids may spell a name."""
        words = [name, *(name.replace("-", s) for s in self._separators)] if "-" in name else [name]
        for word in words:
            if word != name:
                yield word
            if self._is_lower:
                yield word.lower()
            # C1ORF112 is C1orf112; CD68 is Cd68 only where all names of a mouse are in capitals.
            elif word != word.upper() and (name in human_genes().names or self._is_mouse_in_capitals):
                yield word.upper()

    def standard(self, gene_id: str) -> str:
        """Return the name that a gene has, of how the ids spell it; the same where that is unknown."""
        names = human_genes().names
        if self._is_mouse_in_capitals or (self._is_lower and self.species == "mouse"):
            return "mt-" + gene_id[3:].capitalize() if gene_id[:3].upper() == "MT-" else _titled(gene_id)
        if gene_id in names:
            return gene_id
        word = _ORF.sub(r"\1orf", gene_id.upper() if self._is_lower else gene_id)
        return next((w for s in ("-", *self._separators) if (w := word.replace(s, "-")) in names), gene_id)

    @cached_property
    def species(self) -> str:
        """The species of the ids."""
        return recognise_species(self._ids).species if self._species is None else self._species

    @cached_property
    def dates(self) -> dict[str, tuple[str, ...]]:
        """Ids that are dates, and the genes, by their approved symbols, whose former name may have been made one."""
        found = {i: m for i in self._ids if i[:1] in _BEGIN and len(i) <= _LONGEST and (m := _DATE.fullmatch(i))}
        named = {i: _genes_of(m) for i, m in found.items()}
        return {i: genes for i, genes in named.items() if genes}

    @cached_property
    def _is_lower(self) -> bool:
        lower = sum(map(str.islower, self._ids))
        return lower > len(self._ids) // 2 and lower > sum(i in human_genes().names for i in self._ids)

    @cached_property
    def _is_mouse_in_capitals(self) -> bool:
        if 2 * sum(map(str.isupper, self._ids)) < len(self._ids):
            return False
        return self.species == "mouse"

    @cached_property
    def _separators(self) -> tuple[str, ...]:
        """What stands for hyphens: R allows none in a name. Copies of a repeated name end in one and a number."""
        if any("-" in i and not i.rpartition("-")[2].isdigit() for i in self._ids):
            return ()
        return tuple(s for s in "._" if any(s in i for i in self._ids))


_ORF = re.compile(r"^(C[0-9XY]+)ORF(?=[0-9])")


def _titled(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _genes_of(match: re.Match[str]) -> tuple[str, ...]:
    month = match["month"] or match["month2"] or match["month3"]
    day = int(match["day"] or match["day2"] or match["day3"])
    number = int(month) if month.isdigit() else _MONTHS[month.lower()]
    former = (f"{stem}{day}" for stem in _DATED[number])
    table = human_genes()
    return tuple(table.approved_of[f] for f in former if f in table.approved_of) + _FIFTEENTH.get((number, day), ())


class Lookalikes:
    """Ids that may be meant by a name that no id has.

    Parameters
    ----------
    ids
        Gene ids of the data.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self._by_letters: dict[str, list[str]] = {}
        for i in ids:
            self._by_letters.setdefault(_letters(i), []).append(i)
            if copy := _COPY.match(i):
                self._by_letters.setdefault(_letters(copy[1]), []).append(i)

    def of(self, name: str, *, slips: bool) -> list[str]:
        """Return ids of the same letters, a copy of a repeated one among them, or one letter off.

        One letter off is looked for where slips can be, and no gene has the name: CD63 is no slip of CD68.
        """
        same = self._by_letters.get(_letters(name), [])
        if slips and not same and not human_genes().names & {name, name.upper()}:
            same = [i for i in self._ids if abs(len(i) - len(name)) <= 1 and _one_off(i.upper(), name.upper())]
        return sorted(set(same), key=same.index)


# CD68-1 and CD68.1 are what anndata and R make of the second CD68.
_COPY = re.compile(r"(.{2,})[.-][0-9]{1,2}$")


def _letters(name: str) -> str:
    return name.upper().replace("-", "").replace(".", "").replace("_", "")


def _one_off(one: str, two: str) -> bool:
    start = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    a, b = one[start:], two[start:]
    swapped = a[:1] == b[1:2] and a[1:2] == b[:1] and a[2:] == b[2:]
    return len(two) > 2 and (a[1:] == b[1:] or a[1:] == b or a == b[1:] or swapped)
