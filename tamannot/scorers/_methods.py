"""Methods by name."""

from __future__ import annotations

from tamannot.errors import ParameterError
from tamannot.scorers._ucell import UCell

_METHODS = {"ucell": UCell}


def method_of(method: UCell | str) -> UCell:
    """Return the settings of a method given by name or as they are.

    Raises
    ------
    ParameterError
        No such method.
    """
    if isinstance(method, UCell):
        return method
    if method not in _METHODS:
        msg = (
            f"No method {method!r}. There are: {', '.join(_METHODS)}, or a settings object such as UCell(max_rank=500)."
        )
        raise ParameterError(msg)
    return _METHODS[method]()
