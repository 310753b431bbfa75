"""The top of a report: four numbers, and the cells on an embedding, packed for the browser."""

from __future__ import annotations

import base64
import json
import warnings
import zlib
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from matplotlib.colors import to_hex

import tamannot.data as slots
from tamannot import pl
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED, expression_of
from tamannot.data import Array
from tamannot.errors import MatrixError, ResultNotFoundError
from tamannot.pl._cells import PLANES, plane_in
from tamannot.pl._style import colors_of, pretty
from tamannot.report._blocks import Embedding, Facts, Section, Text, drawn, percent, table_of
from tamannot.report._material import RUN, Material, spread
from tamannot.scoring._rows import joined
from tamannot.signature import load_signatures

MOST_DRAWN, MOST_COMPUTED, FEWEST_COMPUTED = 200_000, 20_000, 50
_LABELS = ("state", "origin", "compartment")
_ORDER = ("state", "origin", "overlay", "polarization", "ferroptosis", "compartment")
# Of a byte: 255 is a missing value. Colours need fewer steps than what is read.
_MISSING, _STEPS, _STEP_OF_COLOR, _STEP_OF_Z, _FINEST = 255, 254, 0.25, 0.1, 0.004


def overview(material: Material) -> Section:
    """Return four numbers, and the cells on an embedding where the data have one or it can be computed."""
    here, none = material.macrophages, [UNASSIGNED, NOT_MACROPHAGE]
    state, origin = (percent(float((~material.labels(a)[here].isin(none)).mean())) for a in ("state", "origin"))
    counts = (("cells", f"{here.size:,}"), ("macrophages", f"{here.sum():,}"))
    numbers = Facts((*counts, ("of macrophages have a state", state), ("of macrophages have an origin", origin)))

    rows = spread(np.arange(here.size), MOST_DRAWN, 1)
    cells = material.points if material.points.n_obs == here.size else material.take(rows, matrix=False)
    others = (n for n in sorted(cells.obsm) if n.startswith("X_") and "spatial" not in n)
    flat = (n for n in others if np.shape(cells.obsm[n])[1:] == (2,))
    name, note = plane_in(cells, (*PLANES, *flat)), ""
    if name is None:
        mine = spread(np.flatnonzero(here), MOST_COMPUTED * 3 // 4, RUN)
        rest = spread(np.flatnonzero(~here), MOST_COMPUTED - mine.size, RUN)
        taken = material.take(np.sort(np.concatenate([mine, rest])), matrix=True)
        places = computed(taken, material.run)
        if places is not None:
            name, note = "X_umap", "The data have no embedding, so this one was computed for the report. "
            cells = AnnData(obs=taken.obs, uns=taken.uns, obsm={**taken.obsm, name: places})
    if name is not None:
        cells = cells[np.isfinite(np.asarray(cells.obsm[name], float)[:, :2]).all(axis=1)]
    if name is None or not cells.n_obs:
        said = Text("No embedding is shown: obsm has none, and none could be computed from the matrix of the run.")
        return Section("overview", "At a glance", (numbers, said))

    if cells.n_obs < here.size:
        note += f"Showing {cells.n_obs:,} of {here.size:,} cells, the same ones every time. "
    note += "Cells without a state or an origin are grey."
    title = f"{pretty(name.removeprefix('X_')).upper()} of {cells.n_obs:,} cells"
    png, svg = drawn(lambda: pl.states(cells, basis=name, key=material.key), svg=material.svg) or (b"", b"")
    packed = json.dumps(_packed_cells(material, cells, name), ensure_ascii=False)
    block = Embedding(title, "Cells on an embedding, coloured by state.", png, svg, note, cells=packed)
    both = slots.read_obs(cells, material.key, ("state", "origin")).astype(str).map(pretty).reset_index(drop=True)
    crossed = pd.crosstab(both.iloc[:, 0].rename("state"), both.iloc[:, 1]).rename_axis(columns=None)
    return Section("overview", "At a glance", (numbers, block, table_of(crossed, "These cells by state and origin")))


def computed(cells: AnnData, run: slots.RunRecord) -> Array | None:
    """Return a quick UMAP of the matrix of the run, the same every time; None where it is gone, or of few cells."""
    if min(cells.n_obs, cells.n_vars) < FEWEST_COMPUTED:
        return None
    try:
        matrix = slots.matrix_of_run(cells, run)
        block = joined([block for block, _ in matrix.blocks(np.ones(cells.n_obs, bool))])
    except (MatrixError, ResultNotFoundError):
        return None
    import scanpy as sc  # noqa: PLC0415 - takes seconds, and most data have an embedding

    values = sp.csr_matrix(expression_of(block, matrix.kind, matrix.n_vars), dtype=np.float32)
    mean, square = (np.asarray(v.mean(axis=0)).ravel() for v in (values, values.power(2)))
    genes = np.sort(np.argsort(mean**2 - square, kind="stable")[:2_000])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quick = AnnData(values[:, genes])
        try:
            sc.pp.pca(quick, n_comps=30, random_state=0)
            sc.pp.neighbors(quick, n_neighbors=15, transformer="sklearn", random_state=0)
            sc.tl.umap(quick, random_state=0)
        except (AttributeError, ImportError, TypeError, ValueError):  # releases that do not fit together
            return None
    return np.asarray(quick.obsm["X_umap"], np.float32)


def _packed_cells(material: Material, cells: AnnData, name: str) -> dict[str, Any]:
    """Return the data of the cells for the browser."""
    key = material.key
    places = np.asarray(cells.obsm[name], float)[:, :2]
    low, span = places.min(axis=0), np.ptp(places, axis=0)
    unit = (places - low) / np.where(span > 0, span, 1)
    x, y = np.rint(65535 * np.column_stack([unit[:, 0], 1 - unit[:, 1]])).astype("<u2").T
    obs, slot = cells.obs, slots.slot
    of = {w: {a: obs[s] for a in _LABELS if (s := slot(key, a + w)) in obs} for w in ("", "_prob", "_status")}
    labels = of[""] | ({"sample": slots.obs_column(cells, material.sample_key)} if material.sample_key else {})
    kind = next((k for k in ("z", "scores") if slot(key, k) in cells.obsm), "")
    table = slots.read_obsm(cells, slot(key, kind)) if kind else pd.DataFrame(index=cells.obs_names)
    # Signatures by axis, in the order in which they are offered.
    own = material.run.signatures["axis"].astype(str).to_dict() if material.run.has("signatures") else {}
    known = {name: str(s.axis) for name, s in load_signatures().items()} | own
    axes = {str(i): known.get(str(i), "other") for i in table}
    axes = dict(sorted(axes.items(), key=lambda item: [*_ORDER, item[1]].index(item[1])))
    told = [a for a in ("state", "compartment") if a in axes.values()] or list(axes.values())[:1]
    fine, coarse = (_STEP_OF_Z, _STEP_OF_COLOR) if kind == "z" else (_FINEST, _FINEST)
    prob = [_levels(f"{a}_prob", f"probability of the {a}", "Probability", v, _FINEST) for a, v in of["_prob"].items()]
    values = [_levels(i, pretty(i), f"{kind}: {a}", table[i], coarse) for i, a in axes.items()]
    strongest = []  # of each cell the signature of an axis with the highest value, and the value
    for axis in told:
        of_axis = table[[i for i in axes if axes[i] == axis]]
        numbers = of_axis.to_numpy(dtype=float)
        which = np.where(np.isnan(numbers), -np.inf, numbers).argmax(axis=1)
        most = pd.Series(numbers[np.arange(len(numbers)), which])
        names = {"names": [pretty(str(i)) for i in of_axis], "which": _packed(which.astype("<u2"))}
        strongest.append(_levels(axis, f"strongest {kind}, {axis}", "", most, fine) | names)
    return {
        "n": cells.n_obs,
        "x": _packed(x),
        "y": _packed(y),
        "cells": _packed("\n".join(" ".join(str(n).splitlines()) for n in cells.obs_names)),
        "labels": [_named(a, column, _colors(cells, key, a)) for a, column in labels.items()],
        "status": [_named(a, column, {}) for a, column in of["_status"].items()],
        "values": prob + values,
        "strongest": strongest,
    }


def _named(axis: str, column: pd.Series, colors: dict[str, str]) -> dict[str, Any]:
    """Return labels as numbers; a missing one is the last name."""
    found = column.astype("category").cat
    names = [*map(str, found.categories), "missing"]
    codes = np.where(found.codes < 0, len(names) - 1, found.codes).astype("<u2")
    wheel = [to_hex(c) for c in mpl.colormaps["tab20"].colors]  # type: ignore[attr-defined]
    return {
        "id": axis,
        "names": names if axis == "sample" else [pretty(n) for n in names],
        "colors": [colors.get(n, wheel[i % len(wheel)]) for i, n in enumerate(names)] if colors else [],
        "quiet": [n in (UNASSIGNED, NOT_MACROPHAGE, "missing") for n in names],
        "data": _packed(codes),
    }


def _colors(cells: AnnData, key: str, axis: str) -> dict[str, str]:
    known = {n: to_hex(c) for n, c in colors_of(cells, key, "state" if axis == "sample" else axis).items()}
    return {"missing": known[NOT_MACROPHAGE]} | (known if axis != "sample" else {})


def _levels(name: str, title: str, group: str, column: pd.Series, step: float) -> dict[str, Any]:
    """Return numbers in steps, a byte each."""
    values = column.to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(values)
    low = float(np.floor(values[known].min() / _STEP_OF_Z) * _STEP_OF_Z) if known.any() else 0.0
    step = max(step, (float(values[known].max()) - low) / _STEPS) if known.any() else step
    codes = np.full(values.size, _MISSING, np.uint8)
    codes[known] = np.clip(np.rint((values[known] - low) / step), 0, _STEPS)
    return {"id": name, "title": title, "group": group, "low": round(low, 4), "step": step, "data": _packed(codes)}


def _packed(values: Array | str) -> str:
    raw = values.encode("utf-8", "replace") if isinstance(values, str) else np.ascontiguousarray(values).tobytes()
    return base64.b64encode(zlib.compress(raw)).decode()
