"""Signature files: TOML text to values and back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from tamannot.errors import SignatureFormatError
from tamannot.signature._model import Gene, Signature, SignatureFile

# A signature is a list of genes: anything larger is not one, and would only fill the memory.
MAX_BYTES = 4 * 2**20

Resolve = Callable[[str], Signature]


def parse_file(path: Path) -> SignatureFile:
    """Read one signature file.

    Raises
    ------
    SignatureFormatError
        The file cannot be read, is no TOML, or does not follow the format; the message names the
        file and the field.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path}: larger than {MAX_BYTES // 2**20} MB; a signature file is a short list of genes."
            raise SignatureFormatError(msg)
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return SignatureFile.model_validate(fields)
    except ValidationError as error:
        msg = f"{path}: {explain(error)}"
        raise SignatureFormatError(msg) from error
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number without end
        msg = f"{path}: cannot be read as a signature file: {error}"
        raise SignatureFormatError(msg) from error


def to_signature(file: SignatureFile, resolve: Resolve) -> Signature:
    """Return the signature of a file, its modules looked up by ``resolve``."""
    fields = {name: getattr(file, name) for name in SignatureFile.model_fields if name != "modules"}
    return Signature(**fields, modules=tuple(resolve(m) for m in file.modules))


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
    """Say what is wrong with which field, in one line a fault."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'signature'}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()[:5]
    )


def _gene_line(gene: Gene) -> str:
    fields = gene.model_dump(exclude_none=True)
    fields["references"] = list(gene.references)
    if gene.mapped:
        del fields["mapped"]
    # JSON's strings, numbers and arrays of strings are valid TOML as they stand.
    return "{ " + ", ".join(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in fields.items()) + " }"
