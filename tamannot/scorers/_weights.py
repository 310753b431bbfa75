"""What methods do with the weights of genes."""

from __future__ import annotations

from typing import Literal

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.signature import Signature

Weights = Literal["use", "ignore"]


def check_weights(weights: str) -> None:
    """Refuse a word that is neither.

    Raises
    ------
    ParameterError
        It is not ``use`` or ``ignore``.
    """
    if weights not in ("use", "ignore"):
        msg = f"weights is 'use' or 'ignore', not {weights!r}."
        raise ParameterError(msg)


def refuse_weights(signature: Signature, method: str) -> None:
    """Refuse a signature with weights in a method that has no place for them: they are never dropped silently.

    Raises
    ------
    SignatureFormatError
        A gene has another weight than 1.
    """
    weighted = [g.symbol for g in signature.genes if g.weight != 1]
    if weighted:
        msg = (
            f"Signature '{signature.id}' has weights ({', '.join(weighted[:3])}{', …' if len(weighted) > 3 else ''}) "
            f"and {method} has no place for them. Say weights='ignore' to score it without, or take another method."
        )
        raise SignatureFormatError(msg)
