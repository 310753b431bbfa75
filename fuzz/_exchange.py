"""What all readers of other tools' formats must do."""

from __future__ import annotations

from _fuzz import agrees, as_file, instrumented, only_our_errors

instrumented("tamannot.signature")

from tamannot.signature import load_signatures, read_signatures
from tamannot.signature._exchange import FORMATS, from_json


def exported(name: str, *ids: str) -> bytes:
    """Return signatures of the library in a format."""
    library = load_signatures()
    return FORMATS[name].write([library[i] for i in ids], "symbol").encode()


def read(data: bytes, suffix: str) -> None:
    """Read; what could be read is the same when written as JSON and read again."""
    with as_file(data, suffix) as path, only_our_errors():
        found = read_signatures(path)
        again = from_json(FORMATS["json"].write(found.values(), "symbol"))
        agrees(list(found.values()), again, "written and read again")
