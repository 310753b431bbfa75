"""Signature files: TOML text to values and back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from tamannot.errors import SignatureFormatError
from tamannot.signature._model import PATTERN_WORDS, Gene, Signature, SignatureFile
from tamannot.signature._place import Location
from tamannot.signature._text import read_text, shown

# A signature is a list of genes: anything larger is not one, and would only fill the memory.
MAX_BYTES = 4 * 2**20
# tomllib takes a time that grows with the square of the parts of a key.
_MAX_DOTS = 1000

Resolve = Callable[[str], Signature]


def parse_file(path: Path) -> SignatureFile:
    """Read one signature file.

    Raises
    ------
    SignatureFormatError
        The file cannot be read, is no TOML, or does not follow the format; the message names the
        file and the field.
    """
    text = read_text(path, MAX_BYTES)
    try:
        _refuse_long_keys(text)
        return SignatureFile.model_validate(tomllib.loads(text))
    except ValidationError as error:
        msg = f"{path}: {explain(error)}"
        raise SignatureFormatError(msg) from error
    except RecursionError as error:
        msg = f"{path}: cannot be read as a signature file: it is nested too deeply."
        raise SignatureFormatError(msg) from error
    except ValueError as error:  # not TOML, a number without end
        msg = f"{path}: cannot be read as a signature file: {shown(error)}"
        raise SignatureFormatError(msg) from error


def to_signature(file: SignatureFile, resolve: Resolve) -> Signature:
    """Return the signature of a file, its modules looked up by ``resolve``.

    Raises
    ------
    SignatureFormatError
        A module is of another species.
    """
    modules = tuple(resolve(m) for m in file.modules)
    if other := [m for m in modules if m.species != file.species]:
        msg = f"'{other[0].name}' is a signature of {other[0].species}, '{file.id}' of {file.species}."
        raise SignatureFormatError(msg)
    fields = {name: getattr(file, name) for name in SignatureFile.model_fields if name != "modules"}
    return Signature(**fields, modules=modules)


def to_module(file: SignatureFile) -> Signature:
    """Return the signature of a file as a part of a composite.

    Raises
    ------
    SignatureFormatError
        It is a composite itself: a chain of them could be a circle.
    """
    if file.modules:
        msg = f"'{file.id}@{file.version}' is a composite itself; list its modules instead."
        raise SignatureFormatError(msg)
    return Signature(**{name: getattr(file, name) for name in SignatureFile.model_fields})


def to_toml(signature: Signature) -> str:
    """Return the text of a signature file: genes sorted by symbol, one a line, for clean diffs."""
    fields = signature.model_dump(exclude={"genes", "references", "modules", "combine"}, exclude_defaults=True)
    # What a file must have stands there even where it is the default of a signature in memory.
    must = {name: getattr(signature, name) for name in ("schema_version", "id", "version", "title", "description")}
    head = must | {"axis": signature.axis, "species": signature.species} | fields
    if signature.modules:
        head |= {"modules": [m.name for m in signature.modules], "combine": signature.combine}
    references = [r.model_dump(exclude_defaults=True) for r in signature.references]
    genes = "".join(f"  {_gene_line(g)},\n" for g in sorted(signature.genes, key=lambda g: g.symbol))
    return (
        "#:schema ../../schema.json\n"
        + tomli_w.dumps(head, multiline_strings=True)
        + (f"genes = [\n{genes}]\n" if genes else "")
        + (f"\n{tomli_w.dumps({'references': references})}" if references else "")
    )


def explain(error: ValidationError) -> str:
    """Say what is wrong with which field, for the first five faults."""
    return "; ".join(reason for _, reason in reasons(error))


def reasons(error: ValidationError) -> list[tuple[Location, str]]:
    """Return the first five faults: where each is, and what it is."""
    found: list[tuple[Location, str]] = []
    for e in error.errors(include_url=False, include_input=False)[:5]:
        place = shown(".".join(map(str, e["loc"])))
        wanted = PATTERN_WORDS.get(e.get("ctx", {}).get("pattern", ""), e["msg"].removeprefix("Value error, "))
        found.append((e["loc"], shown(f"{place}: {wanted}" if place else wanted)))
    return found


def _refuse_long_keys(text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MAX_DOTS and max(part.count(".") for part in line.split(",")) > _MAX_DOTS:
            msg = f"line {number} has more than {_MAX_DOTS} dots without a comma."
            raise ValueError(msg)


def _gene_line(gene: Gene) -> str:
    fields = gene.model_dump(exclude_none=True)
    fields["references"] = list(gene.references)
    if gene.mapped:
        del fields["mapped"]
    # JSON's strings, numbers and arrays of strings are valid TOML as they stand.
    return "{ " + ", ".join(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in fields.items()) + " }"
