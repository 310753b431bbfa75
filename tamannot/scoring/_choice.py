"""Words that a setting may be."""

from __future__ import annotations

from collections.abc import Sequence

from tamannot.errors import ParameterError


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a value that is none of the choices.

    Raises
    ------
    ParameterError
        It is none of them; the message names them all.
    """
    if value not in choices:
        *others, last = map(repr, choices)
        msg = f"{name} is {', '.join(others)} or {last}, not {value!r}."
        raise ParameterError(msg)
