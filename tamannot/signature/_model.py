"""Signatures as immutable values."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from tamannot.errors import SignatureFormatError

# The order in which results are laid out: the questions in the order in which they are asked.
Axis = Literal[
    "compartment",
    "origin",
    "state",
    "overlay",
    "polarization",
    "ferroptosis",
    "module",
    "context",
    "quality",
    "published",
    "custom",
]
AXES: tuple[str, ...] = get_args(Axis)[:-1]  # of the library; ``custom`` is what a user's signatures have
Species = Literal["human", "mouse", "any"]
Direction = Literal["up", "down"]
Effect = Literal["drives", "restrains", "context", "none"]

LIBRARY_ID = r"^[a-z0-9_]+$"
_NUMBER = r"(0|[1-9][0-9]{0,8})"
SEMVER = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}$"
MODULE_REF = rf"^[a-z0-9_]+@{_NUMBER}\.{_NUMBER}\.{_NUMBER}$"
_ENSEMBL = r"^ENS(MUS)?G[0-9]{11}$"
# Control characters would break the lines of tables, and speak to the terminal that shows them.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_PROSE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
# An id becomes the name of an HDF5 dataset, where "/" would open a group.
_ID = r"^[^/\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

# The expected form of a text that does not match a pattern.
PATTERN_WORDS: Mapping[str, str] = {
    LIBRARY_ID: "use lower-case letters, digits and _ only",
    SEMVER: "a version is three numbers, such as 1.0.0",
    MODULE_REF: "give a signature with its version, such as lipid_associated@1.0.0",
    _ENSEMBL: "an Ensembl gene id is ENSG (mouse: ENSMUSG) and eleven digits, without a version",
    _ONE_LINE: "has a line break or another control character",
    _PROSE: "has a control character",
    _ID: "an id has at least one character, and no / or control character",
}

MAX_ID, MAX_GENES = 100, 100_000  # letters; more genes than any genome has

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=_ONE_LINE)]
OneLine = Annotated[str, StringConstraints(pattern=_ONE_LINE)]
Prose = Annotated[str, StringConstraints(pattern=_PROSE)]
SignatureId = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=_ID)]
LibraryId = Annotated[str, StringConstraints(max_length=MAX_ID, pattern=LIBRARY_ID)]


def _whole_number(value: object) -> object:
    if type(value) is not int:  # True and 1.0 are equal to 1
        raise ValueError("give the number 1")
    return value


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reference(_Value):
    """Where a statement about a gene comes from."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
    citation: Text
    doi: Annotated[str, StringConstraints(pattern=r"^10\.[0-9]{4,9}/[^\s\x00-\x1f\x7f-\x9f]+$")] | None = None
    pmid: Annotated[str, StringConstraints(pattern=r"^[0-9]+$")] | None = None
    url: OneLine | None = None
    locator: Prose | None = None
    checked: StrictBool = True
    """False if the source, or its statement, was not checked."""
    note: Prose | None = None

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.checked and not (self.doi or self.pmid or self.url):
            raise ValueError(f"reference '{self.key}' needs a doi, pmid or url, or checked = false")
        return self


class Gene(_Value):
    """One gene of a signature, with its direction, weight and sources."""

    symbol: Text
    ensembl: Annotated[str, StringConstraints(pattern=_ENSEMBL)] | None = None
    direction: Direction = "up"
    weight: Annotated[float, Field(strict=True, ge=0.001, le=1000)] = 1.0
    references: tuple[str, ...] = ()
    evidence: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Number of independent sources that support the gene in this signature."""
    note: Prose | None = None
    mapped: StrictBool = True
    """False for a name in a published list that is not a known gene today."""

    @property
    def key(self) -> str:
        """The stable identity used in digests, which is the Ensembl id, else ``symbol:X``."""
        return self.ensembl or f"symbol:{self.symbol}"


class _Fields(_Value):
    """The fields that a signature in memory and a signature file share."""

    schema_version: Annotated[Literal[1], BeforeValidator(_whole_number)] = 1
    id: SignatureId
    version: Annotated[str, StringConstraints(pattern=SEMVER)] = "0.0.0"
    title: OneLine = ""
    description: Prose = ""
    axis: Axis = "custom"
    species: Species = "any"
    cell_ontology: tuple[Annotated[str, StringConstraints(pattern=r"^CL:[0-9]{7}$")], ...] = ()
    licence: OneLine = ""
    created: dt.date | None = None
    provisional: StrictBool = False
    """Fewer than five referenced genes; usable, but unreliable."""
    per_cell: StrictBool = True
    """False if the genes are too sparse or too ubiquitous to interpret in single cells."""
    effect_self: Effect | None = None
    effect_neighbour: Effect | None = None
    derived_from: Annotated[str, StringConstraints(pattern=MODULE_REF)] | None = None
    """The signature of another species that this one was derived from."""
    missing_orthologues: tuple[OneLine, ...] = ()
    """Genes of that signature that have no orthologue here."""
    supersedes: Annotated[str, StringConstraints(pattern=MODULE_REF)] | None = None
    deprecated: StrictBool = False
    replaced_by: Annotated[str, StringConstraints(pattern=MODULE_REF)] | None = None
    """What to use instead of a deprecated signature."""
    combine: Literal["max"] = "max"
    genes: Annotated[tuple[Gene, ...], Field(max_length=MAX_GENES)] = ()
    references: tuple[Reference, ...] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if fault := next(self._faults(), ""):
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        """Yield faults beyond single fields."""
        for field in ("symbol", "ensembl"):
            if repeated := _repeated(v for g in self.genes if (v := getattr(g, field))):
                yield f"gene {', '.join(repeated)} is listed more than once"
        if repeated := _repeated(r.key for r in self.references):
            yield f"reference {', '.join(repeated)} is defined more than once"
        known = {r.key for r in self.references}
        for gene in self.genes:
            if unknown := [k for k in gene.references if k not in known]:
                yield f"gene {gene.symbol} cites {', '.join(unknown)}, which the file does not define"


class SignatureFile(_Fields):
    """A file of the library: ``signatures/<species>/<id>/<version>.toml``.

    Stricter than a signature in memory: everything that a citation needs must be there.
    """

    id: LibraryId
    version: Annotated[str, StringConstraints(pattern=SEMVER)]
    title: Text
    description: Annotated[Prose, StringConstraints(strip_whitespace=True, min_length=1)]
    axis: Axis
    species: Literal["human", "mouse"]
    licence: Text
    created: Annotated[dt.date, Field(strict=True)]
    modules: tuple[Annotated[str, StringConstraints(pattern=MODULE_REF)], ...] = ()

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if bool(self.genes) == bool(self.modules):
            yield "a signature has either genes or modules, not both or neither"
        if repeated := _repeated(self.modules):
            yield f"module {', '.join(repeated)} is listed more than once"
        if uncited := [g.symbol for g in self.genes if not g.references]:
            yield f"gene {', '.join(uncited)} has no reference"
        prefix = "ENSG" if self.species == "human" else "ENSMUSG"
        if wrong := [g.symbol for g in self.genes if g.mapped and not (g.ensembl or "").startswith(prefix)]:
            yield f"gene {', '.join(wrong)} has no Ensembl id of the species ({prefix}…)"
        unmapped = [g.symbol for g in self.genes if not g.mapped]
        if unmapped and self.axis != "published":
            yield f"gene {', '.join(unmapped)} is not mapped; only a published list may keep such names"
        if self.deprecated and not self.replaced_by:
            yield "a deprecated signature needs replaced_by"
        if early := [b.symbol for a, b in pairwise(self.genes) if b.symbol < a.symbol]:
            yield f"gene {early[0]} is out of order: genes must be sorted by symbol, so that changes give clean diffs"


class Signature(_Fields):
    """A named, versioned set of genes, or a composite of such sets.

    A composite has ``modules`` and no genes of its own; its score in a cell is the highest score of its modules.
    """

    modules: tuple[Signature, ...] = ()

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if not self.genes and not self.modules:
            yield f"signature '{self.id}' has no genes"
        if self.genes and self.modules:
            yield f"signature '{self.id}' has both genes and modules"

    @property
    def name(self) -> str:
        """``id@version``."""
        return f"{self.id}@{self.version}"

    @property
    def up(self) -> tuple[Gene, ...]:
        """Genes whose expression raises the score."""
        return tuple(g for g in self.genes if g.direction == "up")

    @property
    def down(self) -> tuple[Gene, ...]:
        """Genes whose expression lowers the score."""
        return tuple(g for g in self.genes if g.direction == "down")

    @property
    def genes_up(self) -> list[str]:
        """Symbols of the genes whose expression raises the score, those of the modules included."""
        return [g.symbol for g in self.all_genes if g.direction == "up"]

    @property
    def genes_down(self) -> list[str]:
        """Symbols of the genes whose expression lowers the score, those of the modules included."""
        return [g.symbol for g in self.all_genes if g.direction == "down"]

    @property
    def parts(self) -> tuple[Signature, ...]:
        """The modules of the signature, or the signature itself if it has no modules."""
        return tuple(p for m in self.modules for p in m.parts) if self.modules else (self,)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, without the values derived from the old ones."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("all_genes", "digest"):
            copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def all_genes(self) -> tuple[Gene, ...]:
        """The genes of all parts, each once, in the order of the parts."""
        return tuple({g.key: g for part in self.parts for g in part.genes}.values())

    @cached_property
    def digest(self) -> str:
        """sha256 of what is scored (species, genes, directions and weights); texts do not count."""
        content: dict[str, Any] = {"species": self.species}
        if self.modules:
            content |= {"combine": self.combine, "modules": sorted(m.digest for m in self.modules)}
        else:
            content["genes"] = sorted([g.key, g.direction, g.weight] for g in self.genes)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class SignatureSet(Mapping[str, Signature]):
    """Signatures by id, in a fixed order; behaves like an immutable mapping.

    Raises
    ------
    SignatureFormatError
        An id occurs more than once.
    """

    def __init__(self, signatures: Iterable[Signature] = ()) -> None:
        members = tuple(signatures)
        if repeated := _repeated(s.id for s in members):
            raise SignatureFormatError(f"Signature id {', '.join(repeated)} occurs more than once; ids must be unique.")
        self._by_id = {s.id: s for s in members}

    def __getitem__(self, key: str) -> Signature:
        return self._by_id[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __or__(self, other: Mapping[str, Signature]) -> SignatureSet:
        """Return the union; a signature of ``other`` replaces one of the same id."""
        return SignatureSet((self._by_id | dict(other)).values())

    def __repr__(self) -> str:
        return f"SignatureSet({len(self)}: {', '.join(self)})"

    def select(self, *, axis: str) -> SignatureSet:
        """Return the signatures of one axis, in the order of this set."""
        return SignatureSet(s for s in self.values() if s.axis == axis)


def version_key(version: str) -> tuple[int, ...]:
    """Sort key of a semantic version."""
    return tuple(int(n) for n in re.findall(r"\d+", version))


def _repeated(values: Iterable[str]) -> list[str]:
    return sorted(v for v, n in Counter(values).items() if n > 1)
