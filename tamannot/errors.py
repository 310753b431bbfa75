"""All exceptions and warnings of tamannot, and its log.

Each error also derives from a builtin, and says what is wrong, where, and what to do next. Text from a user's file is
escaped: a name may contain characters that move the cursor, hide text or forge a line. A warning is for what can make
a result wrong or leave it out; what was chosen and found is logged at level info.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

__all__ = [
    "CoverageWarning",
    "GeneIdError",
    "InputFileError",
    "MatrixError",
    "ModelFormatError",
    "OutputError",
    "ParameterError",
    "ResultNotFoundError",
    "SignatureFormatError",
    "SignatureNotFoundError",
    "SpeciesError",
    "TamannotDeprecationWarning",
    "TamannotError",
    "TamannotWarning",
]


class TamannotError(Exception):
    """Base of all errors of tamannot: an input or a call that it cannot handle."""

    def __init__(self, *args: object) -> None:
        """Store a message, which may contain names from a file: unprintable characters are escaped."""
        super().__init__(*(printable(a) if isinstance(a, str) else a for a in args))


class SignatureNotFoundError(TamannotError, LookupError):
    """There is no signature with this id or version."""


class SignatureFormatError(TamannotError, ValueError):
    """A signature, or a file of signatures, that does not follow the format."""


class GeneIdError(TamannotError, ValueError):
    """Gene ids that cannot be matched: none is known, or one matches two columns."""


class SpeciesError(TamannotError, ValueError):
    """The species of the data differs from that of the signatures."""


class MatrixError(TamannotError, ValueError):
    """There is no usable expression matrix: it is missing, empty, negative or not finite."""


class ModelFormatError(TamannotError, ValueError):
    """A file that is not a model, is damaged, or was made by a newer release."""


class ParameterError(TamannotError, ValueError):
    """A parameter that is out of range, or a column that does not exist."""


class ResultNotFoundError(TamannotError, KeyError):
    """A requested result that was not computed."""

    def __str__(self) -> str:
        """Return the message itself: KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class InputFileError(TamannotError, OSError):
    """A file that is missing, damaged, or of a format that tamannot does not read."""


class OutputError(TamannotError, OSError):
    """A result that cannot be written to the requested place."""


class TamannotWarning(UserWarning):
    """Base of all warnings of tamannot."""

    def __init__(self, *args: object) -> None:
        """Store a message, as `TamannotError` does."""
        super().__init__(*(printable(a) if isinstance(a, str) else a for a in args))


class CoverageWarning(TamannotWarning):
    """Too few genes of a signature are in the data."""


class TamannotDeprecationWarning(TamannotWarning, FutureWarning):
    """A name or an argument that a later release will remove."""


_NEAR, _SHOWN, _SHORT = 3, 20, 3


def printable(text: object) -> str:
    """Return a text in one line, whatever does not print (control characters, lone surrogates) as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def nearest(word: str, known: Iterable[object]) -> str:
    """Return a suggestion of up to three known names, with a space before it; or an empty string."""
    by_lower = {name.lower(): name for name in map(str, known)}
    cutoff = 0.5 if len(word) <= _SHORT else 0.6  # of a short word one letter is much
    near = [repr(by_lower[n]) for n in difflib.get_close_matches(word.lower(), by_lower, n=_NEAR, cutoff=cutoff)]
    return f" Did you mean {' or '.join(filter(None, (', '.join(near[:-1]), near[-1])))}?" if near else ""


def among(word: str, known: Iterable[object]) -> str:
    """Return the text after an unknown name: the nearest names, and the available ones."""
    names = list(map(str, known))
    return f"{nearest(word, names)} Available: {some_of(names, _SHOWN) or 'none'}."


def some_of(names: Iterable[object], most: int = 5) -> str:
    """Return the first names, and the number of the others."""
    every = list(map(str, names))
    return ", ".join(every[:most]) + (f" and {len(every) - most:,} more" if len(every) > most else "")


Notes = dict[str, type[TamannotWarning] | None]
"""Sentences for the user, each with the category of its warning; None: it is logged at level info."""


class _LastResort(logging.Handler):
    """Prints on stderr what no handler of the application receives, as Python does for warnings and errors."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.root.handlers or logger.handlers != [self]:
            return
        with suppress(AttributeError, OSError, ValueError):  # there is no stderr, or it is closed
            sys.stderr.write(f"tamannot: {self.format(record)}\n")


logger = logging.getLogger("tamannot")
logger.addHandler(_LastResort())
if logger.level == logging.NOTSET:
    logger.setLevel(logging.INFO)
_COLLECTED: ContextVar[list[str] | None] = ContextVar("_COLLECTED", default=None)


def tell(notes: Notes) -> None:
    """Issue the warnings at the line that called the library, and log the other notes."""
    collected = _COLLECTED.get()
    for line, kind in notes.items():
        if collected is not None:
            collected.append(printable(line))
        elif kind is None:
            logger.info(printable(line))
        else:
            frame, level = inspect.currentframe(), 1
            while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "tamannot":
                frame, level = frame.f_back, level + 1
            warnings.warn(line, kind, stacklevel=level)


@contextmanager
def collected_notes() -> Iterator[list[str]]:
    """Collect the notes of a block instead of showing them."""
    notes: list[str] = []
    token = _COLLECTED.set(notes)
    try:
        yield notes
    finally:
        _COLLECTED.reset(token)
