"""Reads signatures from files and dicts, and writes them to files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from tamannot.errors import SignatureFormatError, SignatureNotFoundError, TamannotWarning, tell
from tamannot.signature import _toml
from tamannot.signature._exchange import FORMATS, GeneIds, from_gmt, from_json, from_symbols, from_table, losses
from tamannot.signature._library import bundled, bundled_species, is_outside, load_signature, load_signatures, meant
from tamannot.signature._model import AXES, Signature, SignatureFile, SignatureSet, version_key

Signatures = Mapping[str, Signature | Iterable[str]] | Signature | Iterable[Signature] | Iterable[str]
"""What functions take as signatures; lists of genes as in `read_signatures`."""
Source = str | os.PathLike[str] | Mapping[str, Iterable[str]]
FormatName = Literal["toml", "gmt", "json", "network", "ucell", "scgate"]
_READERS = {".gmt": from_gmt, ".json": from_json, ".csv": from_table, ".tsv": from_table, ".txt": from_table}
_MAX_TEXT = 16 * _toml.MAX_BYTES
_FORMAT_OF = {".gmt": "gmt", ".json": "json", ".csv": "network", ".tsv": "scgate", ".toml": "toml", "": "toml"}


def read_signatures(path: Source) -> SignatureSet:
    """Read signatures from a file, a folder of files, or a dict.

    Parameters
    ----------
    path
        A TOML signature file or a folder of them (searched to any depth); a GMT file, where ``X_UP`` and ``X_DN`` are
        the two directions of ``X``; JSON; a table: long with ``source,target[,weight]`` (decoupler), scGate's, or one
        column a signature (UCell); or a dict ``{id: ["CD3E", "CD79A-", …]}``: a trailing ``-`` marks a gene whose
        expression lowers the score, a trailing ``+`` is optional. Any kind of gene id is accepted, including unknown
        ones; a repeated gene counts once.

    Returns
    -------
    The signatures, in the order of the file or dict.

    Raises
    ------
    SignatureFormatError
        The source cannot be read or is not valid; the message names the place.

    Examples
    --------
    >>> import tamannot as tam
    >>> signatures = tam.read_signatures({"my_set": ["CD3E", "CD79A-"]})
    >>> [(g.symbol, g.direction) for g in signatures["my_set"].genes]
    [('CD3E', 'up'), ('CD79A', 'down')]
    """
    if isinstance(path, Mapping):
        return SignatureSet(from_symbols(name, genes) for name, genes in path.items())
    file = Path(path)
    try:
        is_folder = file.is_dir()
    except OSError as error:  # a name that is too long, a folder that must not be looked into
        raise SignatureFormatError(f"{file}: cannot be read: {error.strerror or error}.") from error
    if is_folder:
        return _from_folder(file)
    if file.suffix == ".toml":
        return SignatureSet([_resolved(file, _toml.parse_file(file), {})])
    if file.suffix not in _READERS:
        known = ", ".join([".toml", *_READERS])
        raise SignatureFormatError(
            f"{file}: not a signature format. Give a {known} file, a folder of .toml files, or a dict."
        )
    text = _toml.read_text(file, _MAX_TEXT)
    with _toml.located(file):
        found = SignatureSet(_READERS[file.suffix](text))
    if not found:
        raise SignatureFormatError(f"{file}: this file contains no signatures.")
    return found


def _from_folder(folder: Path) -> SignatureSet:
    files = sorted(folder.rglob("*.toml"))
    if not files:
        raise SignatureFormatError(f"{folder}: this folder contains no .toml signature files.")
    if outside := [f for f in files if is_outside(f, folder)]:
        raise SignatureFormatError(f"{outside[0]}: links to a file outside {folder}. Copy the file into the folder.")
    parsed = {path: _toml.parse_file(path) for path in files}
    paths: dict[str, Path] = {}
    for path, file in parsed.items():
        name = f"{file.id}@{file.version}"
        if (first := paths.setdefault(name, path)) != path:
            raise SignatureFormatError(f"{path}: {name} occurs more than once; it is also in {first}.")
    # Composites may be made of modules that stand beside them.
    beside = {name: parsed[path] for name, path in paths.items()}
    by_age = sorted(parsed.items(), key=lambda item: (not item[1].deprecated, version_key(item[1].version)))
    newest = {file.id: path for path, file in by_age}
    return SignatureSet(_resolved(path, parsed[path], beside) for path in files if path in newest.values())


def _resolved(path: Path, file: SignatureFile, beside: Mapping[str, SignatureFile]) -> Signature:
    with _toml.located(f"{path}: modules"):
        return _toml.to_signature(
            file, lambda m: _toml.to_module(beside[m]) if m in beside else bundled(file.species).get(m)
        )


def as_signatures(given: Signatures) -> SignatureSet:
    """Return signatures as a set: one, several, a list of genes, or names with lists of genes."""
    if isinstance(given, Signature):
        return SignatureSet([given])
    if isinstance(given, SignatureSet):
        return given
    if isinstance(given, Mapping):
        return SignatureSet(s if isinstance(s, Signature) else from_symbols(name, s) for name, s in given.items())
    members = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else [given]
    if members and all(isinstance(s, str) for s in members):
        return SignatureSet([from_symbols("genes", members)])
    if not all(isinstance(s, Signature) for s in members):
        raise SignatureFormatError(
            f"{_toml.shown(repr(given)[:100])} is not a signature. Give a list of genes, "
            "{'my_set': ['CD68', 'SPP1']}, or the result of load_signatures or read_signatures."
        )
    return SignatureSet(s for s in members if isinstance(s, Signature))


def chosen_signatures(given: Signatures | str | os.PathLike[str], species: Callable[[], str]) -> SignatureSet:
    """Return signatures as `as_signatures` does, or those that one or several names mean, as in `signatures_named`.

    ``species`` is asked only where there are names. A list of words is one of names if any of them is an axis or an
    id of the library, else of genes.
    """
    if isinstance(given, str | os.PathLike):
        return signatures_named([given], species())
    if isinstance(given, list | tuple):
        ids = {i for s in bundled_species() for i in bundled(s).ids}
        if any(isinstance(word, str) and (word in AXES or word.partition("@")[0] in ids) for word in given):
            return signatures_named([str(word) for word in given], species())
    return as_signatures(given)


def _as_scored(signature: Signature) -> list[set[tuple[str, str, float]]]:
    return [{(g.symbol, g.direction, g.weight) for g in part.genes} for part in signature.modules or (signature,)]


def signatures_named(words: Sequence[str | os.PathLike[str]], species: str) -> SignatureSet:
    """Return the signatures that words name: files and folders, axes of the library, or ids."""
    found, own = SignatureSet(), dict[str, str]()
    for word in words:
        files: dict[str, str] = {}
        if str(word) in AXES:
            new = load_signatures(str(word), species=species)
        elif os.path.exists(word):  # noqa: PTH110 - False of what is too long for a name or must not be looked at
            new = read_signatures(word)
            files = dict.fromkeys(new, str(word))
        else:
            try:
                new = SignatureSet([load_signature(str(word), species=species)])
            except SignatureNotFoundError as error:
                signature_id, at, _ = str(word).partition("@")
                known = list(load_signatures(species=species))
                if at and signature_id in known:  # the error names its versions
                    raise
                raise SignatureNotFoundError(
                    f"'{_toml.shown(word)}' is not a file, an axis ({', '.join(AXES)}) or a {species} signature."
                    f"{meant(signature_id, [*known, *AXES])} All ids: list(load_signatures())"
                ) from error
        for name in new.keys() & found.keys() & {*own, *files}:  # of the library alone, the later version is meant
            if _as_scored(new[name]) != _as_scored(found[name]):
                place = own.get(name, "the library")
                raise SignatureFormatError(f"{word}: '{name}' is another than that in {place}. Rename one of the two.")
        found, own = found | new, own | files
    return found


def write_signatures(
    signatures: Signatures,
    path: str | os.PathLike[str],
    *,
    format: FormatName | None = None,  # noqa: A002 - the word users look for
    ids: GeneIds = "symbol",
) -> None:
    """Write signatures to the format of another tool, or as files of a library.

    Parameters
    ----------
    signatures
        One signature, several in a list or a set, or lists of genes, as `score` takes them.
    path
        File to write, replaced if it exists; for ``toml`` a folder, in which each signature gets
        ``<id>/<version>.toml``.
    format
        ``gmt``, ``json``, ``network`` (decoupler's long table), ``ucell``, ``scgate`` or ``toml``; None uses
        the suffix of the name.
    ids
        ``"symbol"`` or ``"ensembl"``: the gene ids to write (TOML and JSON always contain both).

    Returns
    -------
    None. A warning names anything that the format cannot store.

    Raises
    ------
    SignatureFormatError
        The format is unknown, or what is given is not a signature.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import tamannot as tam
    >>> tam.write_signatures(tam.load_signatures(axis="origin"), "origins.gmt")  # doctest: +SKIP
    """
    members = list(as_signatures(signatures).values())
    target = Path(path)
    name = format or _FORMAT_OF.get(target.suffix, "")
    if name != "toml" and name not in FORMATS:
        raise SignatureFormatError(f"Unknown format {name or target.suffix!r}. Available: toml, {', '.join(FORMATS)}.")
    if name == "toml":
        _write_library(target, members)
        return
    _toml.write_whole(target, FORMATS[name](members, ids))
    if lost := losses(members, name):
        tell({f"{target}: {name} cannot hold {'; '.join(lost)}.": TamannotWarning})


def _write_library(folder: Path, members: Iterable[Signature]) -> None:
    parts = [part for s in members for part in (s, *s.modules)]
    for signature in parts:
        _toml.check_library_id(signature.id)
    drafts = []
    for signature in parts:
        file = folder / signature.id / f"{signature.version}.toml"
        _toml.write_whole(file, _toml.to_toml(signature))
        try:
            _toml.parse_file(file)
        except SignatureFormatError:
            drafts.append(signature.id)
    if drafts:
        msg = (
            f"{folder}: every gene in a library needs a reference, so {', '.join(drafts)} cannot be read until the "
            f"missing fields are filled in. List them with: tamannot signatures validate {folder}. GMT, JSON and "
            "tables need none."
        )
        tell({msg: TamannotWarning})
