"""The evidence behind the labels of one cell, and why they may differ from the highest z."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.classify import ORIGINS, TRANSITIONAL, UNASSIGNED
from tamannot.data import RunRecord
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.get._run_evidence import RunEvidence, of_one_run
from tamannot.get._tables import row_of

REASONS = {
    "low_signal": "no active program",
    "ambiguous": "the two best labels are too close",
    "low_coverage": "too few genes in the data",
    "not_applicable": "microglia-like, which is not called outside the brain",
    "unfamiliar": "unlike the training cells of the model",
    "mixed_lineage": "genes of another lineage, as in a doublet",
}
"""Meaning of the status of cells without a label."""

_MICROGLIA, _MONOCYTE_DERIVED, _BORDER = ORIGINS
# Names in the text of genes.
_SHOWN = 8


def evidence(adata: AnnData, cell: str | int, key: str = "tam") -> pd.DataFrame:
    """Return the evidence for and against the labels of one cell.

    Parameters
    ----------
    adata
        An annotated object.
    cell
        Name of the cell, or its number.
    key
        The ``key_added`` of the run.

    Returns
    -------
    One row per signature; on each axis the label first, then by ``above_baseline``, or by ``z`` without a baseline:

    - ``axis``, ``score`` (0 to 1), ``z`` and ``p`` against the matched null (p is NaN if it cannot be computed);
    - ``baseline``: z of macrophages of this origin without the state; for microglia, the difference between their z and
      that of monocyte-derived macrophages at which the two are separated. ``above_baseline`` is z minus the baseline;
      calls use it rather than z;
    - ``probability``: of each state and origin, given that the cell is a macrophage, and of its compartment;
    - ``coverage`` (share of its genes in the data) and ``called``: whether it is the cell's label on that axis;
    - ``n_detected``: number of its genes detected in the cell, and ``genes``: the eight with the highest expression,
      with a minus for genes that count against it. Both are missing if the matrix is no longer that of the run
      (`contributions` gives the reason), or if the object was only scored.

    ``attrs["why"]`` explains for each axis in one sentence why the label does not have the highest z, or is missing.

    Raises
    ------
    ParameterError
        The cell does not exist.
    ResultNotFoundError
        The object is not annotated, or was scored without a null.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.get.evidence(adata, 0).loc["macrophage", "genes"]
    'C1QB, P2RY12, GPR34, C1QC, AIF1, C1QA, CSF1R, C3'
    """
    row = row_of(adata, cell)
    record = slots.read_record(adata, key)
    tables = {kind: slots.read_table(adata, key, kind).iloc[row] for kind in ("score", "z", "p")}
    out = pd.DataFrame({"axis": record.signatures["axis"].astype(str)} | tables).loc[
        [i for i in tables["z"].index if i in record.signatures.index]
    ]
    out["baseline"] = _baselines(of_one_run(adata, record, row), out["z"])
    out["above_baseline"] = out["z"] - out["baseline"]
    labels = _obs(adata, row, key, "")
    names = [slot for name in ("origin_proba", "state_proba") if (slot := slots.slot(key, name)) in adata.obsm]
    proba = [slots.read_obsm(adata, name).iloc[row].astype(float) for name in names]
    if "compartment" in labels:
        proba.append(slots.read_obs(adata, key, ("compartment_prob",)).iloc[row].set_axis([labels["compartment"]]))
    out["probability"] = pd.concat(proba).reindex(out.index) if proba else np.nan
    out["coverage"] = record.coverage["coverage"].reindex(out.index)
    out["called"] = out.index.isin(list(labels.values()))
    out = out.join(_detected(adata, row, key, list(out.index)))
    axes = {axis: i for i, axis in enumerate(dict.fromkeys(out["axis"]))}
    strength = out["above_baseline"].fillna(out["z"])
    by = out.assign(axis=out["axis"].map(axes), called=~out["called"], strength=-strength)
    out = out.loc[by.sort_values(["axis", "called", "strength"], kind="stable").index].rename_axis("signature")
    given = "compartment_key" in record.parameters
    out.attrs["why"] = _why(out, labels, _obs(adata, row, key, "_status"), given=given)
    return out


def _obs(adata: AnnData, row: int, key: str, what: str) -> dict[str, str]:
    """Return the labels of a cell by axis, or the status of them."""
    try:
        found = slots.read_obs(adata, key, [f"{axis}{what}" for axis in slots.AXES]).iloc[row]
    except ResultNotFoundError:
        return {}
    return {axis: str(found[name]) for axis in slots.AXES if (name := slots.slot(key, f"{axis}{what}")) in found}


def _baselines(run: RunRecord, z: pd.Series) -> pd.Series:
    """Return the baselines of the states for the likelier origin of a cell, and those of the origins."""
    middle = run.origin_middle
    if np.isnan(middle) or not set(ORIGINS) <= set(z.index):
        return pd.Series(np.nan, index=z.index)
    of_origins = pd.Series({_MICROGLIA: middle, _MONOCYTE_DERIVED: 0.0})
    brain = run.tissue is None or run.tissue.used == "brain"
    microglia = brain and z[_MICROGLIA] - z[_MONOCYTE_DERIVED] > middle
    of_states = run.baselines[run.baselines["origin"] == (_MICROGLIA if microglia else _MONOCYTE_DERIVED)]["baseline"]
    return pd.concat([of_origins, of_states]).reindex(z.index)


def _why(table: pd.DataFrame, labels: Mapping[str, str], status: Mapping[str, str], *, given: bool) -> dict[str, str]:
    """Explain for each axis why the label does not have the highest z, or is missing; report the closest one."""
    said = {}
    for axis, label in labels.items():
        of_axis = table[table["axis"] == axis]
        above, probability = of_axis["above_baseline"], of_axis["probability"]
        text = ""
        if label in of_axis.index:
            text = _why_called(of_axis, axis, label, given=given)
        elif label == TRANSITIONAL:
            z1, z2 = (table["z"].get(arm, np.nan) for arm in ("m1", "m2"))
            text = f"transitional is called where both polarization arms are active (z of m1 {z1:.2f}, of m2 {z2:.2f})."
        elif label == UNASSIGNED and (reason := REASONS.get(status.get(axis, ""))):
            text = f"unassigned: {reason}."
            if axis != "compartment" and above.notna().any() and status[axis] == "ambiguous":
                most = " and ".join(f"{name} ({p:.2f})" for name, p in probability.nlargest(2).items())
                text += f" Most probable are {most}."
            elif axis != "compartment" and above.notna().any():
                best = str(above.idxmax())
                text += (
                    f" Furthest above its baseline is {best}, by {above[best]:.2f} (z {of_axis['z'][best]:.2f}), with "
                    f"a probability of {probability[best]:.2f}."
                )
        if text:
            said[axis] = text
    return said


def _why_called(table: pd.DataFrame, axis: str, label: str, *, given: bool) -> str:
    """Explain a label if another signature of its axis has a higher z, or is further above its baseline."""
    z, above, probability = table["z"], table["above_baseline"], table["probability"]
    rival = str(above.idxmax()) if above.notna().any() else str(z.idxmax())
    if rival == label:
        rival = str(z.idxmax())
    if rival == label:
        return ""
    larger = f"{rival} has the larger z, {z[rival]:.2f} versus {z[label]:.2f}"
    if axis == "compartment":
        if given:
            return f"{label} is the cell type from your own column; {larger}."
        sure = f"probability {probability[label]:.2f}"
        return (
            f"{label} is called by a classifier of many genes, to which the z of panels only contributes ({sure}): "
            f"{larger}."
        )
    if above[label] > above[rival]:
        base = table["baseline"]
        return (
            f"{larger}. After subtracting the baselines ({base[rival]:.2f} and {base[label]:.2f}), {label} ranks "
            f"first, {above[label]:.2f} versus {above[rival]:.2f}."
        )
    if rival == _BORDER:
        return (
            f"{larger}, which is not enough: it shares most genes with the scavenger program, so it needs a higher z "
            "and a clear lead."
        )
    return (
        f"{rival} is further above its baseline, {above[rival]:.2f} versus {above[label]:.2f}. The classifier of many "
        f"genes decided: probability {probability[label]:.2f} of {label}, "
        f"{probability[rival]:.2f} of {rival}."
    )


def _detected(adata: AnnData, row: int, key: str, signatures: list[str]) -> pd.DataFrame:
    """Return how many genes of each signature a cell shows, and the names of the strongest; missing without matrix."""
    number, text = pd.Series(pd.NA, signatures, dtype="Int64"), pd.Series(pd.NA, signatures, dtype=object)
    with suppress(ResultNotFoundError, MatrixError):  # the tables stand without the matrix
        kept = RunEvidence(adata, key, row)
        block = kept.row(row)
        values = np.bincount(block.indices, weights=block.values, minlength=kept.matrix.n_vars)
        for signature in (s for s in signatures if s in kept.axis_of):
            genes = kept.genes_of(signature)
            signs = np.where(genes.weights < 0, "−", "")
            names = [f"{sign}{name}" for sign, name in zip(signs, kept.names(genes.columns), strict=True)]
            here = sorted((-values[c], n) for c, n in zip(genes.columns, names, strict=True) if values[c] > 0)
            number[signature], text[signature] = len(here), ", ".join(n for _, n in here[:_SHOWN])
    return pd.DataFrame({"n_detected": number, "genes": text})
