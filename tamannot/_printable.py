"""Words of a user's file, shown without harm: a name may hold what moves a cursor, hides text or forges a line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

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
    return f"{nearest(word, names)} There are: {', '.join(names[:_SHOWN]) or 'none'}{more}."
