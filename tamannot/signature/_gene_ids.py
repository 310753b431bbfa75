"""Gene ids: the approved human genes, the species that ids belong to, ids as other programs leave them."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Literal

_VERSION = re.compile(r"^(ENS[A-Z]*G\d{11})\.\d+$")

# Aliases that may stand for a gene although they were never its approved symbol. Each was looked at: it
# belongs to no other gene and is no antibody's usual name. Free aliases are not used: MIF is an alias of
# S100A9, NMB of GPNMB, C7 of CXCL10, and all three are genes of their own.
REVIEWED_ALIASES: Mapping[str, str] = {"IBA1": "AIF1", "TREM-2": "TREM2", "TRAIL": "TNFSF10"}


@dataclass(frozen=True)
class GeneTable:
    """Approved symbols, and former ones that belonged to exactly one gene and are not approved today."""

    ensembl: Mapping[str, str]  # approved symbol → Ensembl id, ``""`` where there is none
    former: Mapping[str, tuple[str, ...]]  # approved symbol → former symbols and reviewed aliases
    approved_of: Mapping[str, str]  # former symbol or reviewed alias → approved symbol
    symbol_of: Mapping[str, str]  # Ensembl id → approved symbol
    names: frozenset[str]  # every approved or former symbol


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
    return [match[1] if "." in i and (match := _VERSION.match(i)) else i for i in gene_ids]


OURS: tuple[Literal["human", "mouse"], ...] = ("human", "mouse")
UNKNOWN = "unknown"

_GENOME = dict.fromkeys(("hg18", "hg19", "hg38", "grch37", "grch38"), "human") | dict.fromkeys(
    ("mm9", "mm10", "mm39", "grcm38", "grcm39"), "mouse"
)
# Cell Ranger writes "mm10___Cd68", Seurat "mm10---Cd68", and make.names "mm10...Cd68".
_PREFIX = re.compile(rf"^({'|'.join(_GENOME)})[_.-]+", re.IGNORECASE | re.MULTILINE)

MOUSE_IDS = "[a-eg-npqs-z]|ENSMUSG"
"""Pattern of mouse ids among human ones: human names have no small letters but those of ``orf``."""

# What stands between ENS and G in the ids of a species.
_SPECIES_OF_ENSEMBL = {
    "": "human",
    "MUS": "mouse",
    "RNO": "rat",
    "MMU": "rhesus macaque",
    "MFA": "crab-eating macaque",
    "PTR": "chimpanzee",
    "CJA": "marmoset",
    "SSC": "pig",
    "CAF": "dog",
    "FCA": "cat",
    "BTA": "cattle",
    "OAR": "sheep",
    "CHI": "goat",
    "ECA": "horse",
    "OCU": "rabbit",
    "CPO": "guinea pig",
    "MAU": "golden hamster",
    "CGR": "Chinese hamster",
    "GAL": "chicken",
    "XET": "frog",
    "DAR": "zebrafish",
}
_ID = re.compile(
    r"ENS(?P<ensembl>[A-Z]{0,4})G[0-9]{11}"
    r"|(?P<fly>FBgn[0-9]{7})|(?P<worm>WBGene[0-9]{8})|(?P<thale>AT[1-5CM]G[0-9]{5})",
    re.ASCII,
)
_STARTS = ("ENS", "FBgn", "WBGene", "AT")  # of the ids of `_ID`
_OTHER_IDS = {"fly": "fruit fly", "worm": "worm", "thale": "thale cress"}
# Names, in capitals, that one species alone has: of genes without an orthologue, and of the MHC.
_OWN_NAMES = re.compile(
    r"(?P<human>HLA-[A-Z]|LINC[0-9]{4}|C[0-9XY]{1,2}ORF[0-9])"
    r"|(?P<mouse>H2-[A-Z]|GM[0-9]{3,}$|[0-9A-Z]{10}RIK|(MS4A4C|MS4A6[BCD]|CCL12|LY6C2|CHIL3|SIGLECH|RETNLA|IFI27L2A)$)"
    r"|(?P<rat>RT1-|RGD[0-9]{5,}|AABR0[0-9]{7})"
    r"|(?P<pig>SLA-[0-9D])|(?P<dog>DLA-[0-9D])|(?P<cattle>BOLA-D)|(?P<macaque>MA[MF][UA]-[A-Z])"
    r"|(?P<zebrafish>SI:|ZGC:)"
)
_A_FEW = 3  # names that a species alone has: one may be a slip
_MANY, _MANY_SHARE = 10, 0.02  # ids of a second species: fewer are transgenes, antibodies or slips


@dataclass(frozen=True)
class Sighting:
    """The species of a list of gene ids."""

    species: str = UNKNOWN  # ``human``, ``mouse``, the name of another, or ``unknown``
    second: str = ""  # another species that many of the ids belong to
    counts: Mapping[str, int] = field(default_factory=dict)  # ids of each species
    by_ensembl: bool = False  # whether ids of Ensembl say so, not names
    letters: Literal["", "capitals", "small"] = ""  # how all names are written, if not as genes of a species are named
    example: str = ""  # an id of a species that is not ours

    @property
    def told_apart(self) -> tuple[str, str, str]:
        """A pattern that the ids of one of two species match and the others do not, that species, and the other."""
        if self.species in OURS and self.second in OURS:
            return MOUSE_IDS, "mouse", "human"
        pair = (self.second, self.species) if self.species in OURS else (self.species, self.second)
        return "^" + self.example.rstrip("0123456789"), *pair


def recognise_species(ids: Sequence[str]) -> Sighting:
    """Return the species that gene ids belong to.

    Human symbols are approved or former symbols; mouse symbols are human ones in title case (``Cd68``) and names that
    mouse genes alone have. Ids of Ensembl count before names: the genes of a rat are named as those of a mouse.
    """
    names = human_genes().names
    others = [i for i in ids if i not in names]
    ensembl, own, mouse, lower, capitals = Counter[str](), Counter[str](), 0, 0, 0
    example: dict[str, str] = {}
    for i in others:
        if (short := i[:4]) == "ENSG" or (short == "ENSM" and i[:7] == "ENSMUSG"):
            ensembl["human" if short == "ENSG" else "mouse"] += 1
            continue
        if i.startswith(_STARTS) and (match := _ID.match(i)):
            kind = match.lastgroup or ""
            species = _OTHER_IDS.get(kind) or _SPECIES_OF_ENSEMBL.get(match["ensembl"], "another species")
            ensembl[species] += 1
            example.setdefault(species, i)
            continue
        upper = i.upper()
        if i != upper and upper in names:
            lower += i == i.lower()
            mouse += i[0].isupper()
            own["human"] += i.startswith(("hla-", "linc"))
        elif mark := _OWN_NAMES.match(upper):
            of = str(mark.lastgroup)
            own[of] += 1
            example.setdefault(of, i)
            if of == "mouse":
                mouse += i != upper
                capitals += i == upper
    symbols = Counter(human=len(ids) - len(others), mouse=mouse)
    many = max(_MANY, _MANY_SHARE * (symbols + ensembl).total())
    if capitals >= _A_FEW and mouse < many and not set(ensembl) - {"mouse"}:
        human_own = own["human"] + sum(bool(_OWN_NAMES.match(i)) for i in ids if i in names)
        if capitals > human_own + own["rat"]:
            return Sighting("mouse", counts=Counter(mouse=len(ids)), letters="capitals")
    return _judge(ensembl, symbols, own, lower, example)


def _judge(
    ensembl: Counter[str], symbols: Counter[str], own: Counter[str], lower: int, example: Mapping[str, str]
) -> Sighting:
    counts = symbols + ensembl
    many = max(_MANY, _MANY_SHARE * counts.total())
    foreign, n_foreign = _most({s: n for s, n in ensembl.items() if s not in OURS})
    n_ours = ensembl["human"] + ensembl["mouse"]
    if n_foreign > n_ours and (n_foreign >= many or n_foreign > symbols.total()):
        second = _most({s: ensembl[s] for s in OURS})[0] if n_ours >= many else ""
        return Sighting(foreign, second, counts, by_ensembl=True, example=example[foreign])
    named, n_named = _most(own)
    if named not in ("", *OURS) and n_named >= _A_FEW and not n_ours:
        return Sighting(named, "", counts, example=example[named])
    # Everything in small letters: the names that a species alone has tell which.
    if lower > symbols.total():
        return Sighting(named if n_named >= _A_FEW else UNKNOWN, "", counts, letters="small")
    best, n = _most({s: counts[s] for s in OURS})
    rest = min(counts[s] for s in OURS)
    second = next(s for s in OURS if s != best) if n and rest >= many else ""
    second = second or (foreign if n_foreign >= many else "")
    by_ensembl = ensembl[best] > symbols[best]
    return Sighting(best if n else UNKNOWN, second, counts, by_ensembl=by_ensembl, example=example.get(foreign, ""))


def _most(counts: Mapping[str, int]) -> tuple[str, int]:
    """Return the greatest and its name; the first of equals, and no name if nothing was counted."""
    name = max(counts, key=lambda s: counts[s], default="")
    return (name, counts[name]) if name and counts[name] else ("", 0)


_ENSEMBL_ID = r"ENS[A-Z]{0,4}G[0-9]{11}"
_MARKS = ("'", '"', " ", "\t", "\r", "\xa0", "\ufeff", "__chr")
_IN_ENSEMBL_IDS = "G00000"
_GLUES = ("_", ":", "|", ";", ",", "/", "(", " ", "-E", ".E")
_PLACE = re.compile(r"__chr[0-9A-Za-z_.]+$")  # "CD68__chr17", as CEL-seq tables have it
_GLUE = r"[\s_:|;,/.-]+"
_TWO = re.compile(
    rf"(?:(?P<before>.+?){_GLUE}\(?)?(?P<ensembl>{_ENSEMBL_ID})(?:\.[0-9]+)?\)?(?:{_GLUE}(?P<after>.+))?", re.ASCII
)
_NO_SYMBOL = ("gene", "gene_id", "nan", "na", "none", "par_y")


@dataclass(frozen=True)
class Ids:
    """Gene ids without what other programs put around them."""

    ids: list[str]  # without the version of Ensembl ids
    ensembl: list[str] | None  # where ids hold a symbol and an Ensembl id, the latter; ``""`` where there is none
    written: Mapping[int, str]  # the ids that were something else, as the data have them, by column
    two_genomes: str  # pattern of the mouse ids where prefixes name the genomes of two species; else empty


def read_ids(texts: Sequence[str]) -> Ids:
    """Return gene ids without genome, quotes, blanks, positions and versions, and the second of two in one."""
    text, written = "\n".join(texts), dict[int, str]()
    ids = list(texts)
    if any(mark in text for mark in _MARKS):
        for column, given in enumerate(texts):
            bare = _PLACE.sub("", given.strip().lstrip("\ufeff"))
            if bare[:2] in ("b'", 'b"'):
                bare = bare[1:]
            ids[column] = bare.strip("'\"").strip() or given
        written = {c: t for c, (t, i) in enumerate(zip(texts, ids, strict=True)) if t != i}
    two_genomes = ""
    if genomes := {m[1] for m in _PREFIX.finditer("\n".join(ids))}:
        ids = [_PREFIX.sub("", i) for i in ids]
        mouse = sorted(g for g in genomes if _GENOME[g.lower()] == "mouse")
        if 0 < len(mouse) < len(genomes):
            two_genomes = "|".join(f"^{g}[_.-]" for g in mouse)
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


def _two_in_one(text: str) -> tuple[str, str] | None:
    match = _TWO.fullmatch(text)
    symbol = match and (match["before"] or match["after"])
    if not match or not symbol:
        return None
    if symbol.lower() in _NO_SYMBOL:
        return None if symbol == "PAR_Y" else (match["ensembl"], match["ensembl"])
    return symbol, match["ensembl"]
