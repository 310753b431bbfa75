"""Signatures from the user's files and dicts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from tamannot.errors import SignatureFormatError, SignatureNotFoundError
from tamannot.signature._model import Gene, Signature, SignatureSet
from tamannot.signature._store import bundled
from tamannot.signature._toml import explain, parse_file, to_signature

Source = str | os.PathLike[str] | Mapping[str, Iterable[str]]


def read_signatures(path: Source) -> SignatureSet:
    """Read signatures from a file, a folder of files, or a dict.

    Parameters
    ----------
    path
        A TOML signature file, a folder of them (searched to any depth), a GMT file, or a dict
        ``{id: ["CD3E", "CD79A-", …]}``: a trailing ``-`` marks a gene whose expression lowers the score,
        a trailing ``+`` is optional. Any kind of gene id will do, unknown ones included; a repeated gene
        counts once.

    Returns
    -------
    The signatures, in the order of the file or dict.

    Raises
    ------
    SignatureFormatError
        The source cannot be read or breaks a rule; the message names the place.

    Examples
    --------
    >>> import tamannot as tam
    >>> signatures = tam.read_signatures({"my_set": ["CD3E", "CD79A-"]})
    >>> [(g.symbol, g.direction) for g in signatures["my_set"].genes]
    [('CD3E', 'up'), ('CD79A', 'down')]
    """
    if isinstance(path, Mapping):
        return SignatureSet(_from_symbols(name, genes) for name, genes in path.items())
    file = Path(path)
    if file.is_dir():
        return _from_folder(file)
    if file.suffix == ".toml":
        return SignatureSet([_from_toml(file, {})])
    if file.suffix == ".gmt":
        return _from_gmt(file)
    msg = f"{file}: not a format of signatures. Give a .toml file, a folder of them, a .gmt file, or a dict."
    raise SignatureFormatError(msg)


def _from_folder(folder: Path) -> SignatureSet:
    files = sorted(folder.rglob("*.toml"))
    if not files:
        msg = f"{folder}: there is no .toml signature file in this folder."
        raise SignatureFormatError(msg)
    # Composites may be made of modules that stand beside them.
    parsed = {path: parse_file(path) for path in files}
    beside = {f"{f.id}@{f.version}": path for path, f in parsed.items() if not f.modules}
    return SignatureSet(_from_toml(path, beside) for path in files)


def _from_toml(path: Path, beside: Mapping[str, Path]) -> Signature:
    file = parse_file(path)

    def resolve(name: str) -> Signature:
        return _from_toml(beside[name], {}) if name in beside else bundled(file.species).get(name)

    try:
        return to_signature(file, resolve)
    except SignatureNotFoundError as error:
        msg = f"{path}: modules: {error}"
        raise SignatureFormatError(msg) from error


def _from_gmt(path: Path) -> SignatureSet:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as GMT: {error}"
        raise SignatureFormatError(msg) from error
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    if short := [number for number, fields in rows if len(fields) < 3]:
        msg = f"{path}, line {short[0]}: a GMT line is a name, a description and genes, separated by tabs."
        raise SignatureFormatError(msg)
    try:
        return SignatureSet(_from_symbols(fields[0], fields[2:]) for _, fields in rows)
    except SignatureFormatError as error:
        msg = f"{path}: {error}"
        raise SignatureFormatError(msg) from error


def _from_symbols(name: str, symbols: Iterable[str]) -> Signature:
    if isinstance(symbols, str) or not isinstance(symbols, Iterable):
        msg = f"Signature '{name}': give a list of genes, not {symbols!r}."
        raise SignatureFormatError(msg)
    genes = dict.fromkeys(_parse(s) for s in symbols if str(s).strip())
    try:
        return Signature(id=name, genes=tuple(Gene(symbol=s, direction=d) for s, d in genes))
    except ValidationError as error:
        msg = f"Signature '{name}': {explain(error)}"
        raise SignatureFormatError(msg) from error


def _parse(token: str) -> tuple[str, str]:
    token = str(token).strip()
    return token.removesuffix("-").removesuffix("+").strip(), "down" if token.endswith("-") else "up"
