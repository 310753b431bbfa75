"""Which species the gene ids belong to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tamannot.signature._table import human_genes

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
_ENSEMBL = {
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
_STARTS = ("ENS", "FBgn", "WBGene", "AT")
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

    species: str = UNKNOWN
    """``human``, ``mouse``, the name of another, or ``unknown``."""
    second: str = ""
    """Another species that many of the ids belong to."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Ids of each species."""
    by_ensembl: bool = False
    """Whether ids of Ensembl say so, not names."""
    letters: Literal["", "capitals", "small"] = ""
    """How all names are written, if that is not how the genes of a species are named."""
    example: str = ""
    """An id of a species that is not ours."""

    @property
    def pattern(self) -> str:
        """Pattern that the ids of one of two species match, and the others do not."""
        pair = (self.species, self.second)
        return MOUSE_IDS if all(s in OURS for s in pair) else "^" + self.example.rstrip("0123456789")

    @property
    def first(self) -> str:
        """The species that the pattern is of."""
        return next((s for s in (self.species, self.second) if s not in OURS), "mouse")


def strip_genome_prefix(ids: list[str]) -> tuple[list[str], str]:
    """Return the ids without ``GRCh38_``, ``mm10___``, ``GRCm39-`` and the like.

    Returns
    -------
    The ids, and a pattern of those of mouse if there are genomes of both; else an empty text.
    """
    genomes = {m[1] for m in _PREFIX.finditer("\n".join(ids))}
    if not genomes:
        return ids, ""
    mouse = sorted(g for g in genomes if _GENOME[g.lower()] == "mouse")
    both = 0 < len(mouse) < len(genomes)
    return [_PREFIX.sub("", i) for i in ids], "|".join(f"^{g}[_.-]" for g in mouse) if both else ""


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
            species = _OTHER_IDS.get(kind) or _ENSEMBL.get(match["ensembl"], "another species")
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
    if capitals >= _A_FEW and mouse < _many(symbols + ensembl) and not set(ensembl) - {"mouse"}:
        human_own = own["human"] + sum(bool(_OWN_NAMES.match(i)) for i in ids if i in names)
        if capitals > human_own + own["rat"]:
            return Sighting("mouse", counts=Counter(mouse=len(ids)), letters="capitals")
    return _judge(ensembl, symbols, own, lower, example)


def _judge(
    ensembl: Counter[str],
    symbols: Counter[str],
    own: Counter[str],
    lower: int,
    example: Mapping[str, str],
) -> Sighting:
    counts = symbols + ensembl
    many = _many(counts)
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


def _many(counts: Counter[str]) -> float:
    return max(_MANY, _MANY_SHARE * counts.total())


def _most(counts: Mapping[str, int]) -> tuple[str, int]:
    """Return the greatest and its name; the first of equals, and no name if nothing was counted."""
    name = max(counts, key=lambda s: counts[s], default="")
    return (name, counts[name]) if name and counts[name] else ("", 0)
