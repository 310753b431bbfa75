"""Deprecation of public names and arguments: they work for two more minor releases, with a warning.

A name in a module: ``__getattr__ = deprecated_names(__name__, {"old": ("new", "0.4")})``.
An argument: ``@deprecated_argument("old", new="new", removed_in="0.4")`` above the function, which has ``new`` alone.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from tamannot.errors import ParameterError, TamannotDeprecationWarning

P = ParamSpec("P")
R = TypeVar("R")


def deprecated_names(module: str, gone: Mapping[str, tuple[str, str]]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` that finds renamed objects: old names with the new one and the release of their end."""

    def find(name: str) -> Any:
        if name not in gone:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        new, removed_in = gone[name]
        _warn(f"{module}.{name} is now {module}.{new}", removed_in)
        return getattr(sys.modules[module], new)

    return find


def deprecated_argument(old: str, *, new: str, removed_in: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that passes a keyword argument under its new name, and refuses both names at once."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def renamed(*args: P.args, **kwargs: P.kwargs) -> R:
            if old in kwargs:
                if new in kwargs:
                    raise ParameterError(
                        f"{function.__name__}() got {new}= and its former name {old}=. Give {new}= alone."
                    )
                _warn(f"{old}= of {function.__name__}() is now {new}=", removed_in)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renamed

    return decorate


def _warn(what: str, removed_in: str) -> None:
    warnings.warn(f"{what}; the old name will be removed in {removed_in}.", TamannotDeprecationWarning, stacklevel=3)
