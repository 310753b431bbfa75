"""Every exception and warning that tamannot raises.

Each error refines a builtin, so that ``except LookupError`` works as Python users expect, and each
message says what was seen, where, and what to do next. Words of a user's file in it are shown without harm: a name may
hold what moves a cursor, hides text or forges a line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

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
    """Something about the user's input or call that tamannot cannot work with."""

    def __init__(self, *args: object) -> None:
        """Take a message, which may hold names from a file: whatever does not print is escaped."""
        super().__init__(*(printable(a) if isinstance(a, str) else a for a in args))


class SignatureNotFoundError(TamannotError, LookupError):
    """No signature of that id or version."""


class SignatureFormatError(TamannotError, ValueError):
    """A signature, or a file of signatures, that does not follow the format."""


class GeneIdError(TamannotError, ValueError):
    """Gene ids that cannot be matched: none known, or one that stands for two columns."""


class SpeciesError(TamannotError, ValueError):
    """Data of another species than the signatures."""


class MatrixError(TamannotError, ValueError):
    """No usable expression matrix: absent, empty, negative, not finite."""


class ModelFormatError(TamannotError, ValueError):
    """A file that is no model, is damaged, or was made by a newer release."""


class ParameterError(TamannotError, ValueError):
    """A parameter outside its range, or a column that is not there."""


class ResultNotFoundError(TamannotError, KeyError):
    """A result was asked for that has not been computed."""

    def __str__(self) -> str:
        """Return the message itself: KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class InputFileError(TamannotError, OSError):
    """A file that is absent, damaged, or of a kind that tamannot does not read."""


class OutputError(TamannotError, OSError):
    """A result that cannot be written where it was asked for."""


class TamannotWarning(UserWarning):
    """Base of all warnings of tamannot."""

    def __init__(self, *args: object) -> None:
        """Take a message, as `TamannotError` does."""
        super().__init__(*(printable(a) if isinstance(a, str) else a for a in args))


class CoverageWarning(TamannotWarning):
    """Too few genes of a signature are in the data."""


class TamannotDeprecationWarning(TamannotWarning, FutureWarning):
    """A name or an argument that a later release will not have."""


_NEAR, _SHOWN, _SHORT = 3, 20, 3


def printable(text: object) -> str:
    r"""Return a text in one line, whatever does not print (control characters, lone surrogates) as an escape.

    Examples
    --------
    >>> print(printable("T" + chr(27) + "[31mAM"))
    T\x1b[31mAM
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def nearest(word: str, known: Iterable[object]) -> str:
    """Return the question whether one of up to three known names is meant, with a space before it; or nothing.

    Examples
    --------
    >>> nearest("Sampel", ["sample", "patient"])
    " Did you mean 'sample'?"
    """
    by_lower = {name.lower(): name for name in map(str, known)}
    cutoff = 0.5 if len(word) <= _SHORT else 0.6  # of a short word one letter is much
    near = [repr(by_lower[n]) for n in difflib.get_close_matches(word.lower(), by_lower, n=_NEAR, cutoff=cutoff)]
    return f" Did you mean {' or '.join(filter(None, (', '.join(near[:-1]), near[-1])))}?" if near else ""


def among(word: str, known: Iterable[object]) -> str:
    """Return what to say after a name that is none of the known ones: the nearest, and what there is."""
    names = list(map(str, known))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{nearest(word, names)} Available: {', '.join(names[:_SHOWN]) or 'none'}{more}."
