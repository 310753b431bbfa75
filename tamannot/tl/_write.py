"""An annotation into the slots of an AnnData."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import Unpacked
from tamannot._provenance import describe_run
from tamannot.models import NOT_MACROPHAGE, SOURCE, SOURCE_OF_MODEL, STATES, TRANSITIONAL, UNASSIGNED, Call, Question
from tamannot.models._origin import CLASSES as ORIGINS
from tamannot.pipeline import KIND as ANCHORED
from tamannot.pipeline import METHOD, SUMMARIES, Annotation, Lender
from tamannot.scorers._reference import NAME as REFERENCE

STEPS = ("compartment", "origin", "state", "ferroptosis")
# Fewer genes than this expected to be detected: a program says little of that cell.
_LOW_SIGNAL_EXPECTED = 3

# Okabe & Ito's palette, told apart with any colour vision; greys for what is no label.
_GREY, _LIGHT = "#999999", "#dddddd"
STATE_COLORS = {
    "lipid_associated": "#e69f00",
    "interferon_primed": "#56b4e9",
    "pro_angiogenic": "#d55e00",
    "inflammatory": "#cc79a7",
    "immunoregulatory": "#009e73",
    TRANSITIONAL: "#f0e442",
    UNASSIGNED: _GREY,
    NOT_MACROPHAGE: _LIGHT,
}
ORIGIN_COLORS = {
    "microglia": "#0072b2",
    "monocyte_derived": "#d55e00",
    "border_associated": "#009e73",
    UNASSIGNED: _GREY,
    NOT_MACROPHAGE: _LIGHT,
}
_STATUSES = ("assigned", "low_signal", "ambiguous", "low_coverage", "unfamiliar", "not_applicable", NOT_MACROPHAGE)


def write_annotation(
    adata: AnnData,
    key: str,
    data: Unpacked,
    result: Annotation,
    *,
    steps: Sequence[str],
    choices: Mapping[str, Any],
    notes: Sequence[str],
) -> None:
    """Write the slots of the steps asked for, the tables of scores, and the record of the run."""
    scores = result.calls.scores
    slots.write_tables(adata, key, scores.ids, {"score": scores.score, "z": scores.z, "p": scores.p})
    writers: dict[str, Callable[[AnnData, str, Annotation], None]] = {
        "compartment": _write_compartment,
        "origin": _write_origin,
        "state": _write_state,
        "ferroptosis": _write_ferroptosis,
    }
    for step in steps:
        writers[step](adata, key, result)
    slots.write_provenance(adata, key, _record(data, result, choices, notes))


def _write_compartment(adata: AnnData, key: str, result: Annotation) -> None:
    _write_call(adata, key, "compartment", result.calls.compartment, [*result.calls.compartment.classes, UNASSIGNED])


def _write_origin(adata: AnnData, key: str, result: Annotation) -> None:
    _write_call(adata, key, "origin", result.calls.origin, list(ORIGIN_COLORS))
    slots.write_obsm(adata, slots.slot(key, "origin_proba"), ORIGINS, result.calls.origin.proba)
    slots.write_colors(adata, key, {"origin": list(ORIGIN_COLORS.values())})


def _write_state(adata: AnnData, key: str, result: Annotation) -> None:
    _write_call(adata, key, "state", result.calls.state, list(STATE_COLORS))
    extra: dict[str, Any] = {
        "programs": pd.Categorical(result.calls.programs),
        "mixed_lineage": result.calls.mixed_lineage,
        "dual_m1_m2": result.calls.dual_m1_m2,
    }
    slots.write_obs(adata, key, extra)
    slots.write_obsm(adata, slots.slot(key, "state_proba"), STATES, result.calls.state.proba)
    slots.write_colors(adata, key, {"state": list(STATE_COLORS.values())})


def _write_ferroptosis(adata: AnnData, key: str, result: Annotation) -> None:
    names = ferroptosis_programs(result)
    z = np.stack([result.calls.scores.column("z", name) for name in names], axis=1)
    slots.write_obsm(adata, slots.slot(key, "ferroptosis"), names, z)
    slots.write_obs(adata, key, {name: result.calls.scores.column("z", name) for name in SUMMARIES})


def _write_call(adata: AnnData, key: str, name: str, call: Call, categories: list[str]) -> None:
    columns: dict[str, Any] = {
        name: pd.Categorical(call.label, categories=categories),
        f"{name}_prob": call.prob.astype(np.float32),
        f"{name}_status": pd.Categorical(call.status, categories=list(_STATUSES)),
    }
    slots.write_obs(adata, key, columns)
    slots.drop_obs(adata, key, [f"{name}_vote", f"{name}_vote_share"])  # of calls that are no more


def _record(data: Unpacked, result: Annotation, choices: Mapping[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    record = describe_run(data, result.panels.public, METHOD, result.knowledge.macrophages)
    record["model"] = {axis: _how_called(result, axis) for axis in ("compartment", "origin", "state")}
    if result.knowledge.lender is not None:
        record["model"] |= _of_model(result.knowledge.lender)
    record["learned"] = {axis: _learned(question) for axis, question in result.knowledge.questions.items()}
    calibrated = [axis for axis in ("origin", "state") if axis in result.knowledge.questions]
    lender = result.knowledge.lender
    source = SOURCE if lender is None else f"{SOURCE_OF_MODEL}, {lender.cells}"
    record["calibration_source"] = (
        f"{source} ({', '.join(calibrated)})" if calibrated else "none: probabilities are a monotone reading of z or p"
    )
    where = "at hand" if lender is None else "of the model"
    record["null"] = {
        "compartment": REFERENCE,
        "origin": f"the cells {where}",
        "other_axes": f"the macrophages {where}; all cells where there are fewer than 20",
    }
    record["tissue"] = {"used": result.knowledge.tissue, "reason": result.knowledge.tissue_reason}
    record["parameters"] = {
        name: _storable(value) for name, value in choices.items() if value is not None and name != "model"
    }
    record["warnings"] = np.array(list(notes), dtype=object)
    record["counts"] = {
        name: {str(k): int(v) for k, v in pd.Series(call.label).value_counts().items()}
        for name, call in (
            ("compartment", result.calls.compartment),
            ("origin", result.calls.origin),
            ("state", result.calls.state),
        )
    }
    record["ferroptosis"] = _ferroptosis_table(result)
    return record


def _how_called(result: Annotation, axis: str) -> str:
    lender = result.knowledge.lender
    if lender is not None and axis in lender.low_coverage and axis != "compartment":
        return "not called: too few of the model's genes are in the data"
    if axis not in result.knowledge.questions:
        return "fixed rule on z"
    heads = ", ".join(result.knowledge.questions[axis].heads)
    rule = "fixed rule on z, and " if axis == "compartment" else ""
    return f"{rule}anchored self-training: {heads}"


def _of_model(lender: Lender) -> dict[str, Any]:
    return {
        "kind": ANCHORED,
        "digest": lender.digest,
        "cells": lender.cells,
        "trained_with": lender.trained_with,
        "target_accuracy": lender.target_accuracy,
        "n_genes": lender.n_genes,
        "n_genes_known": lender.n_known,
        "coverage": dict(lender.coverage),
    }


def _learned(question: Question) -> dict[str, Any]:
    return {
        "heads": np.array(list(question.heads), dtype=object),
        "n_genes": int(question.columns.size),
        "present_at": question.present_at,
        # above 1 nothing is called: no threshold reaches the accuracy asked for
        "winner_at": 2.0 if question.winner_at is None else question.winner_at,
        "accuracy_in_mixtures": question.accuracy,
    }


def ferroptosis_programs(result: Annotation) -> list[str]:
    """Return the ids of the ferroptosis programs, without the summaries."""
    return [i for i in result.panels.ids("ferroptosis") if i not in SUMMARIES]


def _storable(value: Any) -> Any:
    if isinstance(value, tuple):  # compartment_key with its mapping
        return {"column": value[0], "names": np.array([f"{k}={v}" for k, v in value[1].items()], dtype=object)}
    return value


def _ferroptosis_table(result: Annotation) -> pd.DataFrame:
    by_id = {s.id: s for s in result.panels.public.outputs}
    names = [*ferroptosis_programs(result), *SUMMARIES]
    rows = [
        (
            str(by_id[n].effect_self or "none"),
            str(by_id[n].effect_neighbour or "none"),
            by_id[n].per_cell,
            float((result.calls.scores.column("expected", n) < _LOW_SIGNAL_EXPECTED).mean()),
        )
        for n in names
    ]
    columns = ["effect_self", "effect_neighbour", "per_cell", "share_low_signal"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(names, name="program"))
