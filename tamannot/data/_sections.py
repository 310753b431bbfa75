"""The sections of the record of a run in ``uns``, and their required content."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, NonNegativeInt, TypeAdapter

from tamannot.data._kind import Kind


def _texts(value: object) -> NDArray[Any]:
    """Return texts as an array; files keep a list of one as a text."""
    found = np.atleast_1d(np.asarray(value, dtype=object))
    if found.ndim != 1 or not all(isinstance(v, str) for v in found.tolist()):
        raise ValueError("should be an array of strings")
    return found


def _numbers(value: object, what: str, kinds: str, dtype: type) -> NDArray[Any]:
    found = np.asarray(value)
    if found.ndim != 1 or (found.dtype.kind not in kinds and found.size):
        raise ValueError(f"should be an array of {what}")
    return found.astype(dtype)


Texts = Annotated[np.ndarray, BeforeValidator(_texts)]
TextList = Annotated[list[str], BeforeValidator(lambda value: _texts(value).tolist())]
Integers = Annotated[np.ndarray, BeforeValidator(partial(_numbers, what="integers", kinds="iu", dtype=np.int64))]
Numbers = Annotated[np.ndarray, BeforeValidator(partial(_numbers, what="numbers", kinds="fiu", dtype=float))]


def columns(texts: str = "", numbers: str = "") -> BeforeValidator:
    """Return the check of a table that must have such columns, their names parted by spaces; others may be there."""
    of_texts, of_numbers = texts.split(), numbers.split()

    def checked(value: object) -> pd.DataFrame:
        if not isinstance(value, pd.DataFrame):
            raise ValueError("should be a table")  # noqa: TRY004 - pydantic reports no other
        if absent := [c for c in (*of_texts, *of_numbers) if c not in value.columns]:
            raise ValueError(f"has no column '{absent[0]}'")
        for name in of_numbers:
            if len(value) and not pd.api.types.is_numeric_dtype(value[name]):
                raise ValueError(f"column '{name}' should be numeric")
        for name in of_texts:
            if pd.api.types.is_numeric_dtype(value[name]) and value[name].notna().any():
                raise ValueError(f"column '{name}' should contain strings")
        return value

    return BeforeValidator(checked)


def table(texts: str = "", numbers: str = "") -> Any:
    """Return the type of such a table."""
    return Annotated[pd.DataFrame, columns(texts, numbers)]


class _Section(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)


class MatrixOfRun(_Section):
    """The matrix that a run read, and its kind."""

    name: str
    kind: Kind
    gene_ids: str  # var_names or the column of var that the ids are from
    species: str  # human, mouse, another, or unknown
    n_obs: NonNegativeInt
    n_vars: NonNegativeInt
    candidates: Texts = np.empty(0, object)
    left_out: Annotated[pd.DataFrame, columns(numbers="n")] = pd.DataFrame({"n": []})
    """How many features of each type are not genes."""
    left_out_by: str = ""


class NullReference(_Section):
    """The genes that a run saw, and their expression bins; joined runs have the genes alone."""

    gene_ids: Texts
    bin: Integers | None = None


class EvidenceRecord(_Section):
    """Which genes of the matrix stand for each signature, and the bins of the nulls beside that of the macrophages."""

    parts: Annotated[pd.DataFrame, columns("name", "part")]
    genes: Annotated[pd.DataFrame, columns(numbers="part column weight")]
    bins: dict[str, Integers]


class LearnedRecord(_Section):
    """The weights of the classes of an axis."""

    weights: Annotated[pd.DataFrame, columns()]
    column: Integers
    intercept: Numbers
    expression: str = ""  # log1p_cp10k or ranks; other words before 0.2
    base: float | None = None  # of the logarithms of the matrix


class _Model(_Section):
    """How each axis was called, and by which model."""

    model_config = ConfigDict(extra="allow")
    compartment: str | None = None
    origin: str | None = None
    state: str | None = None
    kind: str | None = None
    cells: str | None = None
    digest: str | None = None


class NullRecord(BaseModel):
    """Which cells the matched null is of, by axis, and how many ranks count in it."""

    compartment: str = ""
    origin: str = ""
    other_axes: str = ""
    max_rank: NonNegativeInt | None = None


class _Parameters(BaseModel):
    """The parameters of the call; those that are not named here are as they were given."""

    model_config = ConfigDict(extra="allow")
    sample_key: str | None = None
    target_accuracy: float | None = None
    rng: int | None = None


class TissueRecord(BaseModel):
    """The assumed tissue, and the reason."""

    used: str
    reason: str = ""


# As dictionaries of what is there.
_plain = AfterValidator(lambda found: found.model_dump(exclude_none=True))
ModelOfRun = Annotated[_Model, _plain]
Parameters = Annotated[_Parameters, _plain]
FerroptosisTable = table(texts="effect_self effect_neighbour", numbers="share_low_signal")
SignatureTable = Annotated[pd.DataFrame, columns("version axis digest")]
CoverageTable = Annotated[pd.DataFrame, columns("missing", "n_genes n_present coverage")]


class ScoredRecord(_Section):
    """What `tl.score` added beside an annotation."""

    signatures: SignatureTable
    coverage: CoverageTable


class JoinedRecord(BaseModel):
    """The records of the runs of objects that were joined."""

    label: str
    runs: dict[str, dict[str, Any]]


# The columns that pictures, reports and other analyses read.
ANALYSES: Mapping[str, Mapping[str, Any]] = {
    "composition": {
        "shares": table("sample label", "n_cells n_macrophages n_total share low high"),
        "expected": table("sample label", "n_total expected_cells expected_share"),
        "samples": table("sample left_out", "n_cells n_macrophages used"),
        "tests": table("label contrast condition reference note", "log_odds odds_ratio low high p q n_samples"),
        "parameters": dict[str, Any],
        "cautions": Texts,
    },
    "enrichment": {
        "table": table("group signature", "nes q rank"),
        "clusters": table("group"),
        "signatures": table("axis version digest", "n_genes n_ranked"),
        "cautions": Texts,
    },
    "ferroptosis_summary": {
        "samples": table("sample label program kind effect_self effect_neighbour", "z n_cells low_signal"),
        "effects": table("label program kind against shared_genes", "difference low high p q n_samples"),
        "genes": table("label program gene", "n_cells share_detected"),
        "min_cells": int,
        "cautions": Texts,
    },
    "claims": {
        "claims": table("claim_id claim source kind expected test verdict reason", "observed low high n_samples"),
        "detection": table("gene origin state", "n_cells n_detected share_detected"),
        "cautions": Texts,
    },
    "regions": {
        "table": table("signature", "low high p q n_samples n_spots"),
        "samples": table("sample signature", "n_spots"),
        "cautions": Texts,
    },
    "crosstalk": {
        "tests": table("measure tam malignant expected", "rho p low high loo_low loo_high n_samples q q_adjusted"),
        "samples": table(),
        "parameters": dict[str, Any],
        "cautions": Texts,
    },
    "ligand_receptor": {"samples": table(), "pairs": table(), "parameters": dict[str, Any], "cautions": Texts},
}


def validated(kind: Any, value: object) -> Any:
    """Return a value of a section as the type that it must have."""
    return _adapter(kind).validate_python(_python(value))


def _python(value: Any) -> Any:
    """Return a value without the types of numpy that files bring: what pydantic knows as numbers and texts."""
    if isinstance(value, Mapping):
        return {str(name): _python(one) for name, one in value.items()}
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    of = getattr(kind, "__origin__", kind)
    is_model = isinstance(of, type) and issubclass(of, BaseModel)
    return TypeAdapter(kind, config=None if is_model else _Section.model_config)
