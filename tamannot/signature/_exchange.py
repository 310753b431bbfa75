"""Signatures in the formats of other tools, and back.

| format | holds | loses |
|---|---|---|
| ``json`` | everything | nothing |
| ``network`` | genes, signs, weights, both ids (decoupler's long table) | texts, references, modules |
| ``gmt`` | genes, direction as ``_UP`` and ``_DN`` | weights, second ids, references, modules |
| ``ucell`` | genes, direction as ``GENE-``, one column a signature | weights, second ids, references, modules |
| ``scgate`` | genes, direction as ``GENE-``, one row a signature | weights, second ids, references, modules |

A composite has no place but in JSON; elsewhere it is written as the union of its modules' genes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from pydantic import ValidationError

from tamannot.errors import SignatureFormatError
from tamannot.signature._model import Gene, Signature
from tamannot.signature._toml import explain

GeneIds = Literal["symbol", "ensembl"]
_NETWORK = ["source", "target", "weight", "ensembl", "species"]
_SCGATE = ["levels", "use_as", "name", "signature"]


@dataclass(frozen=True)
class Format:
    """How signatures are written to a text of one kind, and what does not fit in."""

    write: Callable[[Iterable[Signature], GeneIds], str]
    holds_weights: bool = False
    holds_modules: bool = False
    holds_down_alone: bool = True


def to_gmt(signatures: Iterable[Signature], ids: GeneIds) -> str:
    """Return GMT: name, description and genes by tabs; a set with down genes is two, ``_UP`` and ``_DN``."""
    return "".join(f"{line}\n" for s in signatures for line in _gmt_lines(s, ids))


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
    """Return the table of a scGate model: one positive level, a row a signature, genes by ``;``."""
    rows = [
        ["level1", "positive", s.id, ";".join(_name(g, ids) + ("-" * (g.direction == "down")) for g in s.all_genes)]
        for s in signatures
    ]
    return "".join("\t".join(row) + "\n" for row in [_SCGATE, *rows])


FORMATS: Mapping[str, Format] = {
    "gmt": Format(to_gmt, holds_down_alone=False),
    "json": Format(to_json, holds_weights=True, holds_modules=True),
    "network": Format(to_network, holds_weights=True),
    "ucell": Format(to_ucell),
    "scgate": Format(to_scgate),
}


def losses(signatures: Iterable[Signature], name: str) -> list[str]:
    """Say what of these signatures a format cannot hold."""
    kind, members = FORMATS[name], list(signatures)
    lost = []
    weighted = [s.id for s in members if any(g.weight != 1 for g in s.all_genes)]
    composite = [s.id for s in members if s.modules]
    if weighted and not kind.holds_weights:
        lost.append(f"gene weights of {', '.join(weighted)}")
    down_alone = [s.id for s in members if all(g.direction == "down" for g in s.all_genes)]
    if down_alone and not kind.holds_down_alone:
        lost.append(f"the direction of {', '.join(down_alone)} (all genes are down, and nothing tells)")
    if composite and not kind.holds_modules:
        lost.append(f"modules of {', '.join(composite)} (written as the union of their genes)")
    return lost


def from_gmt(text: str) -> list[Signature]:
    """Read GMT; ``X_UP`` and ``X_DN``, where both are there, are the two directions of ``X``."""
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        if not line.strip():
            continue
        if len(fields) < 3:
            msg = f"line {number}: a GMT line is a name, a description and genes, separated by tabs."
            raise SignatureFormatError(msg)
        if fields[0] in sets:
            msg = f"line {number}: '{fields[0]}' occurs more than once."
            raise SignatureFormatError(msg)
        sets[fields[0]] = fields[2:]
    return [from_symbols(name, genes) for name, genes in _paired(sets).items()]


def from_json(text: str) -> list[Signature]:
    """Read what `to_json` writes, or a plain object ``{id: [gene, …]}``."""
    content = json.loads(text)
    if not isinstance(content, dict):
        msg = "a JSON object is expected: {id: [gene, …]}, or what tamannot exports."
        raise SignatureFormatError(msg)
    if content.get("format") != "tamannot-signatures":
        return [from_symbols(name, genes) for name, genes in content.items()]
    try:
        return [Signature.model_validate(fields) for fields in content["signatures"].values()]
    except ValidationError as error:
        raise SignatureFormatError(explain(error)) from error


def from_table(text: str) -> list[Signature]:
    """Read a table by its header: long (``source``, ``target``), scGate's, or UCell's columns."""
    rows = list(csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text.partition("\n")[0] else ","))
    if not rows:
        msg = "the table is empty."
        raise SignatureFormatError(msg)
    header = [h.strip() for h in rows[0]]
    if {"source", "target"} <= set(header):
        return _from_network([dict(zip(header, row, strict=False)) for row in rows[1:] if row])
    if {"name", "signature"} <= set(header):
        records = [dict(zip(header, row, strict=False)) for row in rows[1:] if row]
        return [from_symbols(r["name"], r["signature"].split(";")) for r in records]
    columns = zip_longest(*rows[1:], fillvalue="")
    return [from_symbols(name, genes) for name, genes in zip(header, columns, strict=False)]


def from_symbols(name: str, symbols: Iterable[str]) -> Signature:
    """Return a signature of gene names; a trailing ``-`` marks a down gene, ``+`` is optional."""
    if isinstance(symbols, str) or not isinstance(symbols, Iterable):
        msg = f"Signature '{name}': give a list of genes, not {symbols!r}."
        raise SignatureFormatError(msg)
    genes = dict.fromkeys(_parse(s) for s in symbols if str(s).strip())
    return _build(name, [{"symbol": s, "direction": d} for s, d in genes])


def _build(name: str, genes: list[dict[str, Any]], **fields: Any) -> Signature:
    try:
        return Signature(id=name, genes=tuple(Gene(**g) for g in genes), **fields)
    except ValidationError as error:
        msg = f"Signature '{name}': {explain(error)}"
        raise SignatureFormatError(msg) from error


def _from_network(records: list[dict[str, str]]) -> list[Signature]:
    by_source: dict[str, list[dict[str, Any]]] = {}
    species = {r["source"]: r.get("species") or "any" for r in records}
    for number, r in enumerate(records, 2):
        try:
            weight = float(r.get("weight") or 1)
        except ValueError:
            msg = f"line {number}: weight {r['weight']!r} is not a number."
            raise SignatureFormatError(msg) from None
        gene = {"symbol": r["target"], "ensembl": r.get("ensembl") or None, "weight": abs(weight)}
        by_source.setdefault(r["source"], []).append(gene | {"direction": "down" if weight < 0 else "up"})
    return [_build(name, genes, species=species[name]) for name, genes in by_source.items()]


def _paired(sets: dict[str, list[str]]) -> dict[str, list[str]]:
    paired: dict[str, list[str]] = {}
    for name, genes in sets.items():
        base = name.removesuffix("_UP").removesuffix("_DN")
        both = {f"{base}_UP", f"{base}_DN"} <= set(sets) and base != name
        marked = [f"{g}-" for g in genes if g.strip()] if both and name.endswith("_DN") else genes
        paired.setdefault(base if both else name, []).extend(marked)
    return paired


def _gmt_lines(signature: Signature, ids: GeneIds) -> list[str]:
    description = (signature.title or signature.id).replace("\t", " ")
    named = {d: [_name(g, ids) for g in signature.all_genes if g.direction == d] for d in ("up", "down")}
    if not named["down"]:
        return ["\t".join([signature.id, description, *named["up"]])]
    parts = [(f"{signature.id}_UP", named["up"]), (f"{signature.id}_DN", named["down"])]
    return ["\t".join([name, description, *genes]) for name, genes in parts if genes]


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


def _parse(token: str) -> tuple[str, str]:
    token = str(token).strip()
    return token.removesuffix("-").removesuffix("+").strip(), "down" if token.endswith("-") else "up"
