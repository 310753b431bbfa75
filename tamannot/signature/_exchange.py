"""Signatures written in the formats of other tools; `_parse` reads them back.

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

from tamannot.signature._model import Gene, Signature

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


def _gmt_lines(signature: Signature, ids: GeneIds) -> list[str]:
    # Some readers, decoupler's among them, split at blanks: a word of the description would become a gene.
    description = "_".join((signature.title or signature.id).split()) or "na"
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
