"""Signature files: read within limits, written whole; TOML text to values and back; where in it a fault is."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import tomli_w
from pydantic import ValidationError

from tamannot.errors import OutputError, SignatureFormatError, SignatureNotFoundError, printable
from tamannot.signature._model import LIBRARY_ID, MAX_ID, PATTERN_WORDS, Gene, Reference, Signature, SignatureFile

# A signature is a list of genes: anything larger is not one, and would only fill the memory.
MAX_BYTES = 4 * 2**20
# tomllib takes a time that grows with the square of the parts of a key.
_MAX_DOTS = 1000
_SHOWN = 300
Location = Sequence[str | int]
TO_FILL_IN = "What a high score means, and what it does not."
EXAMPLE_KEY = "author2026"
_EXAMPLE = {"human": ("CD68", "ENSG00000129226"), "mouse": ("Cd68", "ENSMUSG00000018774")}


def shown(text: object) -> str:
    """Return what can be printed of a text: control characters as escapes, what is too long cut."""
    words = str(text)
    return printable(words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…")


@contextmanager
def located(place: object) -> Iterator[None]:
    """Put a place before what is said of a signature that cannot be read there."""
    try:
        yield
    except ValidationError as error:
        raise SignatureFormatError(f"{place}: {'; '.join(reason for _, reason in reasons(error))}") from error
    except (SignatureFormatError, SignatureNotFoundError) as error:
        raise SignatureFormatError(f"{place}: {error}") from error


def read_text(path: Path, limit: int) -> str:
    """Return the text of a file of at most ``limit`` bytes, its line ends made one kind."""
    content = None
    try:
        # The size first: what is too large is not read. A pipe would let one wait without end.
        if path.stat().st_size <= limit and path.is_file():
            with path.open("rb") as file:
                content = file.read(limit + 1)
    except (OSError, ValueError) as error:  # a name may hold a NUL
        reason = getattr(error, "strerror", None) or error
        raise SignatureFormatError(f"{path}: cannot be read: {reason}.") from error
    if content is None or len(content) > limit:
        too_large = f"larger than {limit // 2**20} MB, too large for a signature file."
        raise SignatureFormatError(f"{path}: {too_large if path.is_file() else 'cannot be read: it is not a file.'}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SignatureFormatError(
            f"{path}: line {line}: cannot be read: byte 0x{content[error.start]:02x} is not UTF-8 text."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, in folders that are made for it; a reader sees the old file or the whole new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}. Nothing was changed.") from error


def parse_file(path: Path) -> SignatureFile:
    """Read one signature file; what is wrong with it is said with the file and the field."""
    text = read_text(path, MAX_BYTES)
    try:
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > _MAX_DOTS and max(part.count(".") for part in line.split(",")) > _MAX_DOTS:
                raise ValueError(f"line {number} has more than {_MAX_DOTS} dots without a comma.")  # noqa: TRY301
        content = tomllib.loads(text)
    except RecursionError as error:
        raise SignatureFormatError(f"{path}: cannot be read as a signature file: it is nested too deeply.") from error
    except ValueError as error:  # not TOML, a number without end
        raise SignatureFormatError(f"{path}: cannot be read as a signature file: {shown(error)}") from error
    with located(path):
        return SignatureFile.model_validate(content)


def to_signature(file: SignatureFile, resolve: Callable[[str], Signature]) -> Signature:
    """Return the signature of a file, its modules, of the same species, looked up by ``resolve``."""
    modules = tuple(resolve(m) for m in file.modules)
    if other := next((m for m in modules if m.species != file.species), None):
        raise SignatureFormatError(f"'{other.name}' is a {other.species} signature, but '{file.id}' is {file.species}.")
    return Signature(**dict(file) | {"modules": modules})


def to_module(file: SignatureFile) -> Signature:
    """Return the signature of a file as a part of a composite; a chain of composites could be a circle."""
    if file.modules:
        raise SignatureFormatError(f"'{file.id}@{file.version}' is itself a composite; list its modules instead.")
    return Signature(**dict(file))


def to_toml(signature: Signature) -> str:
    """Return the text of a signature file: genes sorted by symbol, one per line, for clean diffs."""
    fields = signature.model_dump(exclude={"genes", "references", "modules", "combine"}, exclude_defaults=True)
    # What a file must have stands there even where it is the default of a signature in memory.
    must = {name: getattr(signature, name) for name in ("schema_version", "id", "version", "title", "description")}
    head = must | {"axis": signature.axis, "species": signature.species} | fields
    if signature.modules:
        head |= {"modules": [m.name for m in signature.modules], "combine": signature.combine}
    references = [r.model_dump(exclude_defaults=True) for r in signature.references]
    genes = ""
    for gene in sorted(signature.genes, key=lambda g: g.symbol):
        about = gene.model_dump(exclude_none=True) | {"references": list(gene.references)}
        if gene.mapped:
            del about["mapped"]
        # JSON's strings, numbers and arrays of strings are valid TOML as they stand.
        values = ", ".join(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in about.items())
        genes += f"  {{ {values} }},\n"
    return (
        "#:schema ../../schema.json\n"
        + tomli_w.dumps(head, multiline_strings=True)
        + (f"genes = [\n{genes}]\n" if genes else "")
        + (f"\n{tomli_w.dumps({'references': references})}" if references else "")
    )


def reasons(error: ValidationError) -> list[tuple[Location, str]]:
    """Return the first five faults: where each is, and what it is."""
    found: list[tuple[Location, str]] = []
    for e in error.errors(include_url=False, include_input=False)[:5]:
        place = shown(".".join(map(str, e["loc"])))
        wanted = PATTERN_WORDS.get(e.get("ctx", {}).get("pattern", ""), e["msg"].removeprefix("Value error, "))
        found.append((e["loc"], shown(f"{place}: {wanted}" if place else wanted)))
    return found


def line_of(text: str, location: Location, reason: str) -> int | None:
    """Return the line that a fault is about, counted from 1; None if it cannot be told.

    ``location`` is pydantic's: ``("genes", 3, "weight")``. If it is empty the reason says a line, genes or references.
    """
    lines = text.split("\n")
    if not location:
        if said := re.search(r"\bline (\d{1,9})\b", reason):
            return int(said[1])
        # The gene or reference that the reason names; the second of two if they are too many.
        words = "|".join(re.escape(w) for w in re.findall(r"[^\s,:;']+", reason)[:50])
        named = re.compile(rf"""\b(?:symbol|ensembl|key)\s*=\s*["']({words})["']""")
        hits = [(n, value) for n, line in enumerate(lines, 1) for value in named.findall(line)]
        same = [n for n, value in hits if value == hits[0][1]]
        return same[1] if "more than once" in reason and len(same) > 1 else next(iter(same), None)
    name, (index, key, *_) = str(location[0]), [*location[1:], None, None]
    first = _line_of_key(lines, name)
    if not isinstance(index, int):
        return first
    # An item of an array: a ``[[name]]`` table, a ``{…}`` on a line of its own, or the array.
    header = re.compile(rf"""\s*\[\[\s*["']?{re.escape(name)}["']?\s*\]\]""")
    tables = [n for n, line in enumerate(lines, 1) if header.match(line)]
    if index < len(tables):
        start, *after = tables[index:]
        return _line_of_key(lines, str(key), start, after[0] - 1 if after else None) or start
    items = [n for n, line in enumerate(lines, 1) if first and n > first and line.lstrip().startswith("{")]
    return items[index] if index < len(items) else first


def _line_of_key(lines: list[str], key: str, start: int = 0, end: int | None = None) -> int | None:
    starts = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((n for n, line in enumerate(lines[start:end], start + 1) if starts.match(line)), None)


def write_template(name: str, folder: Path, species: Literal["human", "mouse"]) -> Path:
    """Write ``<folder>/<id>/1.0.0.toml`` with one gene and one reference to be replaced; return its path."""
    check_library_id(name)
    path = folder / name / "1.0.0.toml"
    if path.exists():
        raise OutputError(
            f"{path} already exists. Put a new version into its own file, such as {path.with_name('1.1.0.toml')}."
        )
    symbol, ensembl = _EXAMPLE[species]
    template = Signature(
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
    write_whole(path, to_toml(template))
    return path


def check_library_id(name: str) -> None:
    """Refuse an id that cannot be the name of a library's folder."""
    if not re.fullmatch(LIBRARY_ID, name) or len(name) > MAX_ID:
        raise SignatureFormatError(
            f"'{shown(name)}' is not a valid library id: use at most {MAX_ID} lower-case letters, digits and _."
        )
