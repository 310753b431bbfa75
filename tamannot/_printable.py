"""Words of a user's file, shown without harm: a name may hold what moves a cursor, hides text or forges a line."""

from __future__ import annotations


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
