"""A signature file to start from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

from tamannot.errors import OutputError
from tamannot.signature._model import Gene, Reference, Signature, check_library_id
from tamannot.signature._text import write_whole
from tamannot.signature._toml import to_toml

TO_FILL_IN = "What a high score means, and what it does not."
EXAMPLE_KEY = "author2026"
_EXAMPLE = {"human": ("CD68", "ENSG00000129226"), "mouse": ("Cd68", "ENSMUSG00000018774")}


def write_template(name: str, folder: Path, species: Literal["human", "mouse"]) -> Path:
    """Write ``<folder>/<id>/1.0.0.toml`` with one gene and one reference to be replaced; return its path.

    It can be read, but it does not validate before they are.

    Raises
    ------
    SignatureFormatError
        The id has other characters than lower-case letters, digits and ``_``.
    OutputError
        The file exists, or cannot be written.
    """
    check_library_id(name)
    path = folder / name / "1.0.0.toml"
    if path.exists():
        msg = f"{path} exists. A new version is a file of its own, such as {path.with_name('1.1.0.toml')}."
        raise OutputError(msg)
    write_whole(path, to_toml(_template(name, species)))
    return path


def _template(name: str, species: Literal["human", "mouse"]) -> Signature:
    symbol, ensembl = _EXAMPLE[species]
    return Signature(
        id=name,
        version="1.0.0",
        title=name.replace("_", " ").capitalize(),
        description=TO_FILL_IN,
        axis="custom",
        species=species,
        licence="CC-BY-4.0",
        created=dt.datetime.now(tz=dt.UTC).date(),
        genes=(Gene(symbol=symbol, ensembl=ensembl, references=(EXAMPLE_KEY,)),),
        references=(Reference(key=EXAMPLE_KEY, citation="Author 2026, Journal", checked=False),),
    )
