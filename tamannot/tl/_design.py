"""Which sample is of which condition: the terms of a comparison of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.errors import ParameterError, among
from tamannot.stats._composition import check_design

Array = NDArray[Any]

_LEAST = 2


@dataclass(frozen=True)
class Design:
    """The terms of a comparison."""

    matrix: Array
    """Samples × terms: intercept, one column a contrast, covariates."""
    conditions: tuple[str, ...]
    """The reference first."""
    codes: Array
    """Of each sample the place of its condition in ``conditions``."""
    df: int
    """Residual degrees of freedom."""

    @property
    def n_contrasts(self) -> int:
        """Conditions that are compared with the reference."""
        return len(self.conditions) - 1


def make_design(
    condition: pd.Series, covariates: pd.DataFrame, *, order: Sequence[str], reference: str | None
) -> Design:
    """Return the terms.

    Parameters
    ----------
    condition
        Of each sample, as text.
    covariates
        Samples × covariates: numbers, or anything else as categories; no missing values.
    order
        The conditions in the order of the column; the first that a sample has is the reference.
    reference
        Another reference.

    Raises
    ------
    ParameterError
        Fewer than two conditions, or than two samples in one; no such reference; nothing left to estimate variation
        from; a covariate that says the same as the condition.
    """
    here = [name for name in order if (condition == name).any()]
    if reference is not None and reference not in here:
        msg = f"No sample has the condition '{reference}'.{among(reference, here)}"
        raise ParameterError(msg)
    conditions = here if reference is None else [reference, *(name for name in here if name != reference)]
    _check_replicates(condition, conditions)
    codes = pd.Categorical(condition, conditions).codes.astype(int)
    columns = [np.ones(len(codes)), *((codes == i).astype(float) for i in range(1, len(conditions)))]
    for name in covariates:
        columns += _columns_of(covariates[name], str(name))
    matrix = np.column_stack(columns)
    return Design(matrix, tuple(conditions), codes, check_design(matrix))


def _check_replicates(condition: pd.Series, conditions: Sequence[str]) -> None:
    if len(conditions) < _LEAST:
        said = f"are of one condition, {conditions[0]}" if conditions else "lack a condition or a covariate"
        msg = f"All samples that could be compared {said}: there is nothing to compare."
        raise ParameterError(msg)
    for name in conditions:
        if (n := int((condition == name).sum())) < _LEAST:
            msg = (
                f"The condition '{name}' has {n} sample that can be compared: without a second one, nothing is known "
                "of how much samples differ. Add samples, or leave the condition out; a number such as age belongs "
                "into covariates."
            )
            raise ParameterError(msg)


def _columns_of(values: pd.Series, name: str) -> list[Array]:
    if values.nunique() < _LEAST:
        msg = f"The covariate '{name}' is the same in all samples that are compared: leave it out."
        raise ParameterError(msg)
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(np.float64)
        return [(numbers - numbers.mean()) / numbers.std()]
    codes, names = pd.factorize(values.astype(str), sort=True)
    return [(codes == i).astype(float) for i in range(1, len(names))]
