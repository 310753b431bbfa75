"""Signatures read from and written in the formats of other tools.

docs/signatures.md has a table of what each format loses. Only JSON can hold a composite; other formats get the union
of its modules' genes. Errors name the line, column or signature; the caller adds the name of the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, zip_longest
from numbers import Integral
from typing import Any, Literal

from tamannot.errors import SignatureFormatError
from tamannot.signature._gene_ids import UNKNOWN, recognise_species
from tamannot.signature._model import MAX_GENES, Direction, Gene, Signature
from tamannot.signature._toml import located, shown

GeneIds = Literal["symbol", "ensembl"]
_NETWORK = ["source", "target", "weight", "ensembl", "species"]
_SCGATE_HEADER = ["levels", "use_as", "name", "signature"]


def to_gmt(signatures: Iterable[Signature], ids: GeneIds) -> str:
    """Return GMT: name, description and genes by tabs; a set with down genes is two, ``_UP`` and ``_DN``."""
    text = ""
    for s in signatures:
        # Some readers, decoupler's among them, split at blanks: a word of the description would become a gene.
        description = "_".join((s.title or s.id).split()) or "na"
        up, down = ([_name(g, ids) for g in s.all_genes if g.direction == d] for d in ("up", "down"))
        sets = [(f"{s.id}_UP", up), (f"{s.id}_DN", down)] if down else [(s.id, up)]
        text += "".join("\t".join([name, description, *genes]) + "\n" for name, genes in sets if genes)
    return text


def to_json(signatures: Iterable[Signature], _ids: GeneIds) -> str:
    """Return a JSON object of all fields by id; modules stand inside their composite."""
    content = {s.id: _fields(s) for s in signatures}
    return json.dumps({"format": "tamannot-signatures", "schema_version": 1, "signatures": content}, indent=1) + "\n"


def to_network(signatures: Iterable[Signature], ids: GeneIds) -> str:
    """Return the long table that decoupler takes; the weight of a down gene is negative."""
    rows = [
        [s.id, _name(g, ids), g.weight if g.direction == "up" else -g.weight, g.ensembl or "", s.species]
        for s in signatures
        for g in s.all_genes
    ]
    return _csv([_NETWORK, *rows])


def to_ucell(signatures: Iterable[Signature], ids: GeneIds) -> str:
    """Return a table with a column a signature, ``GENE+`` or ``GENE-`` below its name."""
    members = list(signatures)
    columns = [[_name(g, ids) + ("-" if g.direction == "down" else "+") for g in s.all_genes] for s in members]
    return _csv([[s.id for s in members], *zip_longest(*columns, fillvalue="")])


def to_scgate(signatures: Iterable[Signature], ids: GeneIds) -> str:
    """Return the table of a scGate model: one positive level, one row per signature, genes by ``;``."""
    rows = [
        ["level1", "positive", s.id, ";".join(_name(g, ids) + ("-" * (g.direction == "down")) for g in s.all_genes)]
        for s in signatures
    ]
    return "".join("\t".join(row) + "\n" for row in [_SCGATE_HEADER, *rows])


FORMATS = {"gmt": to_gmt, "json": to_json, "network": to_network, "ucell": to_ucell, "scgate": to_scgate}
"""The functions that return the text of a format."""


def losses(signatures: Sequence[Signature], name: str) -> list[str]:
    """Return the parts of these signatures that a format cannot store."""
    weighted = [s.id for s in signatures if any(g.weight != 1 for g in s.all_genes)]
    down_alone = [s.id for s in signatures if all(g.direction == "down" for g in s.all_genes)]
    composite = [s.id for s in signatures if s.modules]
    lost = []
    if weighted and name not in ("json", "network"):
        lost.append(f"gene weights of {', '.join(weighted)}")
    if down_alone and name == "gmt":
        lost.append(f"the direction of {', '.join(down_alone)} (all genes are down)")
    if composite and name != "json":
        lost.append(f"modules of {', '.join(composite)} (written as the union of their genes)")
    return lost


def _name(gene: Gene, ids: GeneIds) -> str:
    return gene.symbol if ids == "symbol" else gene.ensembl or gene.symbol


def _fields(signature: Signature) -> dict[str, Any]:
    fields = signature.model_dump(mode="json", exclude_defaults=True, exclude={"modules"})
    fields = {"id": signature.id, "version": signature.version} | fields
    return fields | ({"modules": [_fields(m) for m in signature.modules]} if signature.modules else {})


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


_LONG = ("source", "target")
_SCGATE = ("name", "signature")
# Words that no one calls a signature, so that a table with one of them is not UCell's.
_OF_OTHER_TABLES = {*_LONG, *_SCGATE, "weight", "levels", "use_as"}


def from_gmt(text: str) -> list[Signature]:
    """Read GMT; ``X_UP`` and ``X_DN``, where both are there, are the two directions of ``X``."""
    sets: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, *rest = line.split("\t")
        if not line.strip():
            continue
        if len(rest) < 2:
            raise SignatureFormatError(f"line {number}: a GMT line is name, description and genes, separated by tabs.")
        if name in sets:
            raise SignatureFormatError(f"line {number}: '{shown(name)}' occurs more than once.")
        sets[name] = number, rest[1:]
    base = {name: name[:-3] for name in sets if name.endswith(("_UP", "_DN"))}
    paired = {b for b in base.values() if b not in sets and {f"{b}_UP", f"{b}_DN"} <= set(sets)}
    found: dict[str, tuple[int, list[str]]] = {}
    for name, (number, genes) in sets.items():
        home = base[name] if base.get(name) in paired else name
        mark = "-" if home != name and name.endswith("_DN") else ""
        found.setdefault(home, (number, []))[1].extend(f"{g}{mark}" for g in genes if g.strip())
    return [_at(f"line {number}", name, genes) for name, (number, genes) in found.items()]


def from_json(text: str) -> list[Signature]:
    """Read what `to_json` writes, or a plain object ``{id: [gene, …]}``."""
    try:
        content = json.loads(text, object_pairs_hook=_unique)
    except SignatureFormatError:
        raise
    except (RecursionError, ValueError) as error:  # a ValueError says line and column
        reason = "it is nested too deeply." if isinstance(error, RecursionError) else shown(error)
        raise SignatureFormatError(f"cannot be read as signatures: {reason}") from error
    if not isinstance(content, dict):
        raise SignatureFormatError("expected a JSON object: {id: [gene, …]}, or a file exported by tamannot.")
    if content.get("format") != "tamannot-signatures":
        return [from_symbols(name, genes) for name, genes in content.items()]
    if content.get("schema_version", 1) != 1 or not isinstance(content.get("signatures"), dict):
        raise SignatureFormatError("expected schema_version 1 and an object 'signatures' next to the format.")
    found = []
    for name, fields in content["signatures"].items():
        place = f"Signature '{shown(name)}'"
        with located(place):
            found.append(Signature.model_validate(fields))
        if found[-1].id != name:
            raise SignatureFormatError(f"{place}: its id is '{found[-1].id}'.")
    return found


def from_table(text: str) -> list[Signature]:
    """Read a table by its header: long (``source``, ``target``), scGate's, or UCell's columns."""
    header, rows = _table(text)
    if set(_LONG) <= set(header):
        return _from_network(_records(header, rows, _LONG))
    if set(_SCGATE) <= set(header):
        return [_at(f"line {n}", r["name"], r["signature"].split(";")) for n, r in _records(header, rows, _SCGATE)]
    if strange := [h for h in header if h in _OF_OTHER_TABLES]:
        raise SignatureFormatError(
            f"line 1: unknown column '{strange[0]}'. Expected the columns {' and '.join(_LONG)} (a long table) "
            f"or {' and '.join(_SCGATE)} (scGate's)."
        )
    columns = [*zip_longest(*(cells for _, cells in rows), fillvalue="")] or [()] * len(header)
    marked = any(c.strip().endswith(("+", "-")) for column in columns for c in column)
    if len(header) == 1 and not marked and recognise_species(header).species != UNKNOWN:
        raise SignatureFormatError(
            f"line 1: '{shown(header[0])}' is a gene, but the first line is the name of the signature. Put a line with "
            "a name above the genes."
        )
    found = []
    for n, (name, column) in enumerate(zip(header, columns, strict=False), 1):
        filled = [c for c in column if c.strip()]
        try:
            numbers = [float(c) for c in filled]
        except ValueError:
            numbers = []
        if numbers and not any(c.strip().isdecimal() for c in filled):  # whole numbers may be gene ids
            raise SignatureFormatError(f"column {n}: numbers such as '{shown(filled[0])}', where UCell has genes.")
        found.append(_at(f"column {n}", name, column))
    return found


def from_symbols(name: str, symbols: Iterable[object]) -> Signature:
    """Return a signature of gene names; a trailing ``-`` marks a down gene, ``+`` is optional."""
    place = f"Signature '{shown(name)}'"
    if isinstance(symbols, str | bytes | Mapping) or not isinstance(symbols, Iterable):
        raise SignatureFormatError(f"{place}: expected a list of genes, not {shown(repr(symbols)[:100])}.")
    tokens = list(islice(symbols, MAX_GENES + 1))
    if len(tokens) > MAX_GENES:
        raise SignatureFormatError(f"{place}: more than {MAX_GENES} genes, which is more than any genome has.")
    genes = {}
    for number, token in enumerate(tokens, 1):
        if not isinstance(token, str | Integral) or isinstance(token, bool):
            raise SignatureFormatError(f"{place}: gene {number}: {shown(repr(token)[:100])} is not a gene name.")
        if gene := str(token).strip():
            symbol = gene.removesuffix("-").removesuffix("+").strip()
            direction: Direction = "down" if gene.endswith("-") else "up"
            with located(f"{place}: gene '{shown(symbol)}'"):
                genes[symbol, direction] = Gene(symbol=symbol, direction=direction)
    with located(place):
        return Signature(id=name, genes=tuple(genes.values()))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(n for n in names if names.count(n) > 1)
        raise SignatureFormatError(f"'{shown(repeated)}' occurs more than once in an object.")
    return content


def _table(text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and, with their lines, the rows that are not empty."""
    first = text.partition("\n")[0]
    if ";" in first and not {",", "\t"} & set(first):
        raise SignatureFormatError("line 1: the columns are separated by ';'. Use commas or tabs.")
    reader = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in first else ",")
    try:
        rows = [(reader.line_num, row) for row in reader if any(c.strip() for c in row)]
    except csv.Error as error:
        raise SignatureFormatError(f"line {reader.line_num}: {error}.") from error
    if not rows:
        raise SignatureFormatError("the table is empty.")
    header = [h.strip() for h in rows[0][1]]
    for line, row in rows[1:]:
        if any(c.strip() for c in row[len(header) :]):
            raise SignatureFormatError(f"line {line}: {len(row)} columns, but the header has {len(header)}.")
    return header, rows[1:]


def _records(
    header: list[str], rows: list[tuple[int, list[str]]], needed: Sequence[str]
) -> list[tuple[int, dict[str, str]]]:
    """Return line and cells by column of each row; refuse one without what is needed."""
    records = [(line, dict(zip(header, row, strict=False))) for line, row in rows]
    for line, cells in records:
        if missing := [c for c in needed if not cells.get(c, "").strip()]:
            raise SignatureFormatError(f"line {line}: column '{missing[0]}' is empty.")
    return records


def _from_network(records: list[tuple[int, dict[str, str]]]) -> list[Signature]:
    genes: dict[str, list[Gene]] = {}
    species: dict[str, str] = {}
    for line, cells in records:
        source, said, own = cells["source"], cells.get("weight") or "1", cells.get("species") or "any"
        try:
            weight = float(said)
        except ValueError:
            raise SignatureFormatError(f"line {line}: weight '{shown(said)}' is not a number.") from None
        direction: Direction = "down" if weight < 0 else "up"
        symbol, ensembl = cells["target"], cells.get("ensembl") or None
        with located(f"line {line}: gene '{shown(symbol)}'"):
            gene = Gene(symbol=symbol, ensembl=ensembl, weight=abs(weight), direction=direction)
        genes.setdefault(source, []).append(gene)
        if species.setdefault(source, own) != own:
            raise SignatureFormatError(
                f"line {line}: the species of '{shown(source)}' is {shown(own)}, but {shown(species[source])} above."
            )
    found = []
    for name, members in genes.items():
        with located(f"Signature '{shown(name)}'"):
            found.append(Signature.model_validate({"id": name, "genes": members, "species": species[name]}))
    return found


def _at(place: str, name: str, genes: Iterable[object]) -> Signature:
    with located(place):
        return from_symbols(name, genes)
