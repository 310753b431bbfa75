"""Write or check what the package promises: public names, signatures, slots, commands.

usage: python tools/api_snapshot.py [--check]

``tests/api_snapshot.json`` is the promise. A change of it belongs to the change that made it: what is new has a line
in CHANGELOG.md; what is gone or renamed was deprecated first (docs/release.md).
"""

from __future__ import annotations

import difflib
import inspect
import json
import sys
import warnings
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import typer
from anndata import AnnData

import tamannot as tam
from tamannot.cli._main import app
from tamannot.tl._write import ORIGIN_LABELS, STATE_LABELS, STATUSES

SNAPSHOT = Path(__file__).parent.parent / "tests" / "api_snapshot.json"


def snapshot() -> dict[str, Any]:
    """Return the promise, in plain values that are the same under every Python."""
    return {"names": names_of("tamannot", tam), "slots": slots(), "commands": commands(typer.main.get_command(app), "")}


def names_of(prefix: str, module: ModuleType) -> dict[str, Any]:
    """Return what a module has in ``__all__``, modules in it with their own."""
    found: dict[str, Any] = {}
    for name in sorted(module.__all__):
        value = getattr(module, name)
        found |= names_of(f"{prefix}.{name}", value) if inspect.ismodule(value) else {f"{prefix}.{name}": about(value)}
    return found


def about(value: Any) -> Any:
    """Return the signature of a function, the members of a class, the fields of an object."""
    if inspect.isclass(value):
        return members(value)
    if callable(value):
        return signature(value)
    return {"is a": type(value).__name__, **members(type(value))}


def members(of: type) -> dict[str, Any]:
    """Return bases, how it is made, and the public members that tamannot defines."""
    ours = [c for c in of.__mro__ if c.__module__.partition(".")[0] == "tamannot"]
    found: dict[str, Any] = {"bases": [c.__name__ for c in of.__mro__[1:-1] if c.__name__[0] != "_"]}
    if issubclass(of, BaseException):
        return found
    found["call"] = signature(of)
    found["fields"] = (
        sorted(f.name for f in fields(of)) if is_dataclass(of) else sorted(getattr(of, "model_fields", ()))
    )
    for name in sorted({n for c in ours for n in vars(c) if not n.startswith("_")} - set(found["fields"])):
        if name.startswith("model_"):  # pydantic's own
            continue
        member = inspect.getattr_static(of, name)
        member = getattr(member, "__func__", member)
        if inspect.isfunction(member):
            found[name] = signature(member)
        else:
            found[name] = "property"
    return found


def signature(function: Any) -> str:
    """Return the parameters as they are written; types only where they are kept as text."""
    try:
        given = inspect.signature(function)
    except ValueError:  # made by a library, in C
        return "(...)"
    shown = [p if isinstance(p.annotation, str) else p.replace(annotation=p.empty) for p in given.parameters.values()]
    back = given.return_annotation if isinstance(given.return_annotation, str) else given.empty
    return str(given.replace(parameters=shown, return_annotation=back)).replace("'", "")


LABELS = {
    "tam_compartment": (*tam.load_signatures(axis="compartment"), "unassigned"),
    "tam_origin": ORIGIN_LABELS,
    "tam_state": STATE_LABELS,
    **{f"tam_{axis}_status": STATUSES for axis in ("compartment", "origin", "state")},
}


def slots() -> dict[str, Any]:
    """Return what annotating and scoring write into an object, by a run on the example."""
    annotated, scored = tam.datasets.oligodendroglioma(), tam.datasets.oligodendroglioma()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tam.errors.TamannotWarning)
        tam.tl.annotate(annotated, tissue="brain")
        tam.tl.score(scored, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
    return {"tl.annotate": written(annotated), "tl.score": written(scored)}


def written(adata: AnnData) -> dict[str, Any]:
    """Return the keys and types of results."""
    tables = {f"obsm/{name}": list(map(str, adata.obsm[name].columns)) for name in sorted(adata.obsm)}
    columns = {f"obs/{n}": kind_of(adata.obs[n]) for n in sorted(adata.obs) if n.startswith("tam_")}
    # Of labels only those that occur are categories; these are all there can be.
    columns |= {f"obs/{n}": list(labels) for n, labels in LABELS.items() if n in adata.obs}
    extra = sorted(f"uns/{n}" for n in adata.uns if n.startswith("tam_"))
    return columns | tables | {"uns": extra, "uns/tamannot/tam": sorted(adata.uns["tamannot"]["tam"])}


def kind_of(column: pd.Series) -> Any:
    """Return the categories of labels, else the type of numbers; text is text under every pandas."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(map(str, column.cat.categories)) if len(column.cat.categories) < 40 else "categorical"
    return str(column.dtype) if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb" else "text"


def commands(command: Any, name: str) -> dict[str, Any]:
    """Return every command with its arguments and options."""
    found: dict[str, Any] = {}
    for each in sorted(getattr(command, "commands", {})):
        found |= commands(command.commands[each], f"{name} {each}".strip())
    return found | {
        name or "tamannot": [
            " ".join([*sorted(p.opts), *sorted(p.secondary_opts)]) + (" (required)" if p.required else "")
            for p in command.params
            if p.name != "help"
        ]
    }


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    text = json.dumps(snapshot(), indent=1, ensure_ascii=False) + "\n"
    kept = SNAPSHOT.read_text(encoding="utf-8") if SNAPSHOT.is_file() else ""
    if "--check" not in arguments:
        SNAPSHOT.write_text(text, encoding="utf-8")
        return 0
    print(*difflib.unified_diff(kept.splitlines(), text.splitlines(), "promised", "found", lineterm="", n=1), sep="\n")
    return int(kept != text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
