"""One annotation: its notes for the user, and how it is written into the slots of an AnnData."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot import classify
from tamannot._settings import DEFAULT_ACCURACY, AnnotateSettings
from tamannot.classify import MACROPHAGE, NOT_MACROPHAGE, ORIGINS, STATES, SUMMARIES, TRANSITIONAL, UNASSIGNED, Array
from tamannot.data import Unpacked
from tamannot.data._runs import describe_run, missing_genes
from tamannot.errors import CoverageWarning, Notes, ResultNotFoundError, TamannotWarning, some_of
from tamannot.scoring import signed_genes
from tamannot.scoring._null import REFERENCE
from tamannot.tl._model import Labelling

_NO_TERM = "unknown"  # what the schema of CELLxGENE asks for where there is no term
_WITHOUT_LABEL = ("low_signal", "ambiguous", "low_coverage", "unfamiliar", "not_applicable")
STATUSES = ("assigned", *_WITHOUT_LABEL, classify.MIXED_LINEAGE, NOT_MACROPHAGE)
ORIGIN_LABELS = (*ORIGINS, UNASSIGNED, NOT_MACROPHAGE)
STATE_LABELS = (*STATES, TRANSITIONAL, UNASSIGNED, NOT_MACROPHAGE)
STEPS = ("compartment", "origin", "state", "ferroptosis")
_TABLE_OF_STEP = {"origin": "origin_proba", "state": "state_proba", "ferroptosis": "ferroptosis"}
# The signatures that are results of a step; the other compartments are alternatives to macrophages.
_AXES_OF = {"origin": ("origin",), "state": ("state", "overlay", "polarization"), "ferroptosis": ("ferroptosis",)}
_MOSTLY_UNFAMILIAR = 0.5  # a share of unfamiliar macrophages that needs a note

# No two labels of any axis share a colour, and the colours of one axis are colour-blind safe; greys for cells without
# a label. tests/pl/test_colors.py measures it.
_GREY, _LIGHT = "#999999", "#dddddd"
COLORS = {
    "compartment": {
        "macrophage": "#4055ea",
        "monocyte": "#00bfd4",
        "dendritic": "#0095d4",
        "neutrophil": "#ffbf00",
        "mast": "#552a6a",
        "plasmacytoid": "#1500bf",
        "t_nk": "#00402a",
        "b": "#152a95",
        "plasma": "#6a80aa",
        "endothelial": "#bfea6a",
        "mural": "#406a2a",
        "fibroblast": "#6aaa55",
        "epithelial_like": "#80eaff",
        "melanocyte": "#0000ff",
        "erythroid": "#552a00",
        "platelet": "#aaeabf",
        "glial_like": "#409500",
        "neuron": "#6a95ff",
        "oligodendrocyte": "#005555",
        "opc": "#00bf80",
        "ependymal": "#556a55",
        "schwann": "#006abf",
        UNASSIGNED: _GREY,
    },
    "state": {
        "lipid_associated": "#e69f00",
        "interferon_primed": "#56b4e9",
        "pro_angiogenic": "#d55e00",
        "inflammatory": "#882255",
        "immunoregulatory": "#009e73",
        TRANSITIONAL: "#f0e442",
        UNASSIGNED: _GREY,
        NOT_MACROPHAGE: _LIGHT,
    },
    "origin": {
        "microglia": "#0072b2",
        "monocyte_derived": "#8c2d04",
        "border_associated": "#b2df8a",
        UNASSIGNED: _GREY,
        NOT_MACROPHAGE: _LIGHT,
    },
}


@dataclass(eq=False)
class AnnotationRun:
    """One annotation: the settings, the data, what was fitted to them, and the calls, which `call_cells` adds."""

    key: str  # prefix of what is written
    settings: AnnotateSettings
    data: Unpacked
    ready: classify.Prepared
    labelling: Labelling | None  # the user's model of labels, laid over the data
    also: tuple[str, ...]  # the key of the user's own labels, if a label model is applied
    columns: Mapping[str, Sequence[str]]  # of each table of ``obsm``
    calls: pd.DataFrame = field(default_factory=pd.DataFrame)  # the columns of ``obs``, by their names without the key
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # by axis, cells with each label, most cells first
    # Of each ferroptosis program the share of cells in which hardly any of its genes is expected to be detected.
    low_signal: dict[str, float] = field(default_factory=dict)


def colors_for(axis: str, labels: Iterable[object], own: Mapping[str, str] | None = None) -> list[str]:
    """Return the colours of labels, those given first; grey for a compartment of the user's own."""
    known = COLORS[axis] | dict(own or {})
    return [known.get(str(label), _GREY) for label in labels]


def write_run(
    adata: AnnData, run: AnnotationRun, tables: Mapping[str, Array] | None, steps: tuple[str, ...] = STEPS
) -> Notes:
    """Write slots of the requested steps, tables if they are in memory, and the record; return notes for the user."""
    key, found, notes = run.key, run.calls, _notes(run, steps)
    if run.labelling is not None:
        notes |= run.labelling.write(adata, *run.also)
    record = _record(run, notes, steps)
    merged = None if set(steps) == set(STEPS) else _merged_with_earlier(adata, run, record, steps)
    if merged is not None:
        slots.forget_run(adata, key, steps)
    else:
        slots.forget_run(adata, key)
        slots.forget_run(adata, key, STEPS)  # of a run whose record was lost
    if tables is not None:
        scores = {kind: tables[name] for kind, name in (("score", "scores"), ("z", "z"), ("p", "p"))}
        slots.write_tables(adata, key, run.columns["scores"], scores)
        for name in (_TABLE_OF_STEP[s] for s in steps if s in _TABLE_OF_STEP):
            slots.write_obsm(adata, slots.slot(key, name), run.columns[name], tables[name])
    axes = [a for a in slots.AXES if a in steps]
    columns = [f"{axis}{what}" for axis in axes for what in ("", "_prob", "_status")]
    slots.write_obs(adata, key, {name: found[name].array for name in columns})
    if {"compartment", "origin"} & set(steps):
        # The term that the signature of a cell's origin, else of its compartment, cites.
        labels: dict[str, Array] = {"compartment": found["compartment"].to_numpy(dtype=object)}
        if slots.slot(key, "origin") in adata.obs:
            labels["origin"] = slots.labels_of(adata, key, "origin")
        terms: Array = np.full(adata.n_obs, _NO_TERM, dtype=object)
        for axis, column in labels.items():
            for signature in run.ready.panels.library.select(axis=axis).values():
                if len(signature.cell_ontology) == 1:
                    terms[column == signature.id] = signature.cell_ontology[0]
        slots.write_obs(adata, key, {"cell_ontology_term_id": pd.Categorical(terms)})
    about_state = ("programs", "mixed_lineage", "dual_m1_m2") if "state" in steps else ()
    columns = [*about_state, *(SUMMARIES if "ferroptosis" in steps else ())]
    slots.write_obs(adata, key, {name: found[name].array for name in columns})
    slots.write_colors(adata, key, {a: colors_for(a, found[a].cat.categories) for a in axes})
    slots.write_record(adata, key, merged or record)
    return notes


def _notes(run: AnnotationRun, steps: tuple[str, ...]) -> Notes:
    """Return the notes for the user, one line each; ``uns`` keeps them as well."""
    data, cohort, panels, found = run.data, run.ready.cohort, run.ready.panels, run.calls
    notes = data.notes
    if run.settings.tissue == "auto" and (found["compartment"] == MACROPHAGE).any():
        notes[f"Tissue set to {cohort.tissue}: {cohort.tissue_reason}. Override with tissue=."] = None
    if cohort.lender is None and cohort.n_cells < data.rows.shape[0]:
        notes[f"Fitted to {cohort.n_cells:,} of {data.rows.shape[0]:,} cells, spaced evenly over the data."] = None
    target = run.settings.target_accuracy
    called = found["state_status"] == classify.ASSIGNED
    if target != DEFAULT_ACCURACY and called.any():  # who gives one wants to hear
        expected = float(np.mean(found.loc[called, "state_prob"].to_numpy()))
        if expected < target:
            notes[
                f"According to their probabilities, {expected:.0%} of the called states are right; target_accuracy is "
                f"{target:g}. To be stricter, keep only cells with a high state probability."
            ] = TamannotWarning
    if (lender := cohort.lender) is not None:
        installed = {s.id: s.digest for s in panels.everything.outputs}
        if other := sorted(i for i, digest in lender.digests.items() if installed.get(i) != digest):
            said = "The model was trained with other versions of these signatures, or they are missing here"
            notes[f"{said}: {some_of(other, 8)}."] = TamannotWarning
        if lender.coverage < classify.FEW_GENES:
            notes[
                f"Only {lender.coverage:.0%} of the model's genes for state, by weight, are in the data (at least "
                f"{classify.FEW_GENES:.0%} are needed), so no state is called."
            ] = TamannotWarning
        status = found.loc[found["compartment"] == MACROPHAGE, "state_status"]
        unfamiliar = float((status == classify.UNFAMILIAR).mean()) if len(status) else 0.0
        if unfamiliar > _MOSTLY_UNFAMILIAR:
            notes[
                f"{unfamiliar:.0%} of the macrophages are unlike the model's training cells, so their origin and state "
                "stay unassigned: they may be other cells, from another tissue, or very shallow. Annotate without a "
                "model to fit to these cells."
            ] = TamannotWarning
    if panels.too_large:
        line = f"Not scored, because they have more genes than the data have ranks: {', '.join(panels.too_large)}."
        notes[line] = TamannotWarning
    states = panels.ids("state")
    offered = panels.ids("origin") if cohort.brain else ["monocyte_derived"]
    ids = [i for step in steps for axis in _AXES_OF.get(step, ()) for i in panels.ids(axis)]
    asked = {i for i in ids if i in offered or i not in panels.ids("origin")} | set(panels.ids("custom"))
    named = missing_genes(panels.public, data.index, asked if steps == ("ferroptosis",) else asked | {MACROPHAGE})
    few = [i for i in states if panels.coverage[i] < classify.FEW_GENES]
    if named and 2 * len(few) > len(states):
        named += f" That is more than half of the genes of {', '.join(few)}, so no cell will get these states."
    if named:
        notes[named] = CoverageWarning
    return notes


def _merged_with_earlier(
    adata: AnnData, run: AnnotationRun, new: dict[str, Any], steps: Sequence[str]
) -> dict[str, Any] | None:
    """Return the record of a run of some steps, merged with an earlier one of other steps.

    None: the earlier run had another matrix, other signatures or other macrophages, so its labels would contradict the
    new ones.
    """
    key, matrix = run.key, new["matrix"]
    before = {a: slots.labels_of(adata, key, a) for a in slots.AXES if slots.slot(key, a) in adata.obs}
    try:
        old = slots.read_record(adata, key)
        then = {name: getattr(old.matrix, name) for name in ("name", "kind", "gene_ids", "species", "n_obs", "n_vars")}
        agree = all(value == matrix[name] for name, value in then.items())
        agree &= np.array_equal(old.bins, new["null_reference"]["bin"])
        agree &= old.own_signatures["digest"].astype(str).to_dict() == new["signatures"]["digest"].to_dict()
        macrophage = (run.calls["compartment"] == MACROPHAGE).to_numpy()
        for axis, label in before.items():
            called = label == MACROPHAGE if axis == "compartment" else label != NOT_MACROPHAGE
            agree &= np.array_equal(called, macrophage)
        # Where no label changes, analyses of the labels remain valid.
        same = all(np.array_equal(label, run.calls[a].astype(str)) for a, label in before.items() if a in steps)
        merged = {**old.stored, **new} if same else dict(new)
        checked = {"model": old.model, "learned": old.learned, "counts": old.counts}
        for section in checked:
            theirs = old.stored.get(section, {})
            merged[section] = {**theirs, **{a: v for a, v in new[section].items() if a in steps or a not in theirs}}
        merged["parameters"] = {**old.parameters, **new["parameters"]}
        if "origin" not in steps and old.tissue is not None:  # it decided which origins were offered
            merged["tissue"] = dict(old.tissue)
    except ResultNotFoundError:  # there is none, or it is damaged
        return None
    return merged if agree else None


def _record(run: AnnotationRun, notes: Collection[str], steps: Collection[str]) -> dict[str, Any]:
    """Return the record of a run as stored in ``uns``."""
    data, ready, cohort = run.data, run.ready, run.ready.cohort
    fit, lender = cohort.states.regression, cohort.lender
    trained = [s for s, known in zip(STATES, cohort.states.trained, strict=True) if known]
    model: dict[str, Any] = {
        "compartment": "classifier trained on reference profiles, and z of panels",
        "origin": "difference in z between origins, against a background of reference macrophages",
        "state": "activity of signatures" + (f", and a classifier for {', '.join(trained)}" if trained else ""),
    }
    if lender is not None:
        few = {"state": "not called: too few of the model's genes are in the data"}
        model |= (few if lender.coverage < classify.FEW_GENES else {}) | dict(lender.about)
    if run.also:
        model["labels"] = f"by a model of the user's, under the key '{run.also[0]}'"
    where = "these macrophages" if lender is None else f"a model's: {lender.about['cells']}"
    parameters = run.settings.parameters()
    if isinstance(given := parameters.get("compartment_key"), tuple):
        names = np.array([f"{k}={v}" for k, v in given[1].items()], dtype=object)
        parameters["compartment_key"] = {"column": given[0], "names": names}
    baselines = [
        (origin, state, a.baseline, a.reference, a.noise)
        for origin, of_origin in zip(("microglia", "monocyte_derived"), cohort.states.activities, strict=True)
        for state, a in zip(STATES, of_origin, strict=True)
    ]
    columns = ["origin", "state", "baseline", "reference", "noise"]
    by_id = {s.id: s for s in ready.panels.public.outputs}
    programs = [
        (i, str(by_id[i].effect_self or "none"), str(by_id[i].effect_neighbour or "none"), by_id[i].per_cell, share)
        for i, share in run.low_signal.items()
    ]
    of_program = ["program", "effect_self", "effect_neighbour", "per_cell", "share_low_signal"]
    return describe_run(data, ready.panels.public, classify.METHOD, ready.panels.macrophages) | {
        "model": model,
        "learned": {} if fit is None else {"state": _weights(cohort.states.trained, fit, data, ready.source)},
        "evidence": _evidence(ready),
        "baselines": pd.DataFrame(baselines, columns=columns).set_index("state"),
        "origin_middle": float(cohort.middle),
        "learned_from": {"n_cells": cohort.n_cells, "n_macrophages": cohort.n_macrophages},
        "calibration_source": f"states: empirical Bayes on the split halves of signatures in {where}",
        "null": {
            "compartment": REFERENCE,
            "origin": classify.MACROPHAGE_REFERENCE,
            "other_axes": classify.MACROPHAGE_REFERENCE,
        },
        "parameters": parameters,
        "tissue": {"used": cohort.tissue, "reason": cohort.tissue_reason},
        "warnings": np.array(list(notes), dtype=object),
        "counts": {axis: counts for axis, counts in run.counts.items() if axis in steps},
        "ferroptosis": pd.DataFrame(programs, columns=of_program).set_index("program"),
    }


def _weights(trained: Array, fit: classify.Regression, data: Unpacked, source: classify.Source) -> dict[str, Any]:
    """Return the weights of the states, on the scale on which cells without the state are 0 and training cells 1.

    ``column`` is where the genes are in the matrix, ``expression`` what the weights multiply, ``base`` that of its
    logarithms.
    """
    known = np.flatnonzero(trained)
    size = fit.one[known] - fit.zero[known]
    weights = (fit.coef[known + 1] - fit.coef[0]) / size[:, None]
    constant = fit.intercept.mean(axis=0)
    return {
        "weights": pd.DataFrame(
            {STATES[s]: w.astype(np.float32) for s, w in zip(known, weights, strict=True)},
            index=pd.Index([data.index.ids[c] for c in fit.columns], name="gene", dtype=object),
        ),
        "column": fit.columns.astype(np.int32),
        "intercept": (constant[known + 1] - constant[0] - fit.zero[known]) / size,
        "expression": source.scale,
    } | ({} if source.base is None else {"base": source.base})


def _evidence(ready: classify.Prepared) -> dict[str, Any]:
    """Return the parts of each signature, their genes in the data by the library's names, and the bins of the null.

    The bins of the macrophages of the reference are in the record already, in ``null_reference``.
    """
    panels = ready.panels
    plan, parts = panels.public, panels.public.parts
    outputs = [(i, p) for i, of_output in zip(plan.ids, plan.parts_of, strict=True) for p in of_output]
    symbol = {panels.index.find(g.symbol, g.ensembl): g.symbol for p in parts for g in p.signature.genes}
    genes = [signed_genes(p, classify.METHOD.weights, classify.METHOD.down_weight) for p in parts]
    columns = np.concatenate([g.columns for g in genes])
    names = pd.Categorical([parts[p].signature.id for _, p in outputs])
    return {
        "parts": pd.DataFrame(
            {"part": np.array([p for _, p in outputs], np.int32), "name": names},
            index=pd.Index([i for i, _ in outputs], name="signature", dtype=object),
        ),
        "genes": pd.DataFrame(
            {
                "part": np.repeat(np.arange(len(parts), dtype=np.int32), [g.columns.size for g in genes]),
                "column": columns.astype(np.int32),
                "weight": np.concatenate([g.weights for g in genes]),
            },
            index=pd.Index([symbol.get(c, panels.index.ids[c]) for c in columns.tolist()], name="gene", dtype=object),
        ),
        "bins": {"compartment": panels.reference.astype(np.uint8)},  # there are 25 bins
    }
