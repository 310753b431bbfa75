"""What methods do with the weights of genes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tamannot.errors import SignatureFormatError
from tamannot.scoring._choice import check_choice
from tamannot.scoring._plan import Arm
from tamannot.signature import Signature

Array = NDArray[Any]
Weights = Literal["use", "ignore"]


def check_weights(weights: str) -> None:
    """Refuse a word that is neither.

    Raises
    ------
    ParameterError
        It is not ``use`` or ``ignore``.
    """
    check_choice("weights", weights, ("use", "ignore"))


def weights_in_use(arm: Arm, weights: Weights) -> Array:
    """Return the weights of an arm's genes in the data: their own, or all 1 where they are to be ignored."""
    return arm.weights if weights == "use" else np.ones_like(arm.weights)


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
