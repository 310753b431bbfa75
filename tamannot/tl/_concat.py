"""``concat``: joins objects that were annotated separately, so that everything works on the joined object."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.data import RunRecord
from tamannot.errors import ParameterError, ResultNotFoundError, TamannotWarning, some_of, tell
from tamannot.tl._write import ORIGIN_LABELS, STATE_LABELS, STATUSES, colors_for

_ORDER = {"origin": ORIGIN_LABELS, "state": STATE_LABELS}
# Kept for the joined object if it is the same in every run.
_SHARED = ("tamannot_version", "method", "model", "null", "tissue", "calibration_source")
# Not kept: values of one run or of its cells, and results of analyses.
_OF_CELLS = ("smooth", "vote", "latest", "composition", "enrichment", "ferroptosis_summary", "claims", "regions")
_NOT_KEPT = (*_OF_CELLS, "crosstalk", "ligand_receptor")


def concat(
    adatas: Collection[ad.AnnData] | Mapping[str, ad.AnnData],
    *,
    label: str = "sample",
    keys: Sequence[str] | None = None,
    key: str = "tam",
    **kwargs: Any,
) -> ad.AnnData:
    """Join objects that were annotated separately, and keep the records of their runs.

    ``anndata.concat`` drops ``uns``, or keeps that of one object, and sorts the categories of labels. After this
    function, figures, reports, analyses and tables work as on one object, and the evidence of a cell comes from its
    own run.

    Parameters
    ----------
    adatas
        Annotated objects, or a mapping of sample names to them.
    label
        Column of ``obs`` for the sample of each cell. If all objects already have it, each with one unique value,
        these values are the names.
    keys
        Names of the samples, if ``adatas`` is not a mapping.
    key
        The ``key_added`` of the annotations.
    **kwargs
        Passed to ``anndata.concat``: ``join``, ``merge`` (here ``"same"`` if not given), ``index_unique`` (here ``"-"``
        if names of cells repeat), ``uns_merge``, ``pairwise``, ``fill_value``.

    Returns
    -------
    A new object. ``uns["tamannot"]["{key}"]`` has the values that all runs share, the lowest coverage of each
    signature, and under ``joined`` the record of each run. Results of analyses are not kept, because they belong to
    single samples.

    Raises
    ------
    ParameterError
        There are fewer than two objects, names repeat, or an object is itself the result of `concat`.
    ResultNotFoundError
        An object is not annotated under ``key``.

    Notes
    -----
    Labels were called by each sample's own run, so differences between samples may also be differences between runs.

    Examples
    --------
    >>> import tamannot as tam
    >>> whole = tam.datasets.simulate(60, n_samples=2, n_genes=1000)
    >>> parts = [whole[whole.obs["sample"] == s].copy() for s in ("s01", "s02")]
    >>> for part in parts:
    ...     tam.tl.annotate(part, tissue="brain")
    >>> joined = tam.concat(parts)
    >>> tam.tl.composition(joined, "sample")
    >>> joined.obs["sample"].unique().tolist()
    ['s01', 's02']
    """
    named, records = _named(adatas, label, keys), dict[str, RunRecord]()
    for name, part in named.items():
        if part.isbacked:
            raise ParameterError(f"Object '{name}' is backed by {part.filename}. Load it first: to_memory().")
        records[name] = record = slots.read_record(part, key)
        if record.joined_by is not None:
            raise ParameterError(
                f"Object '{name}' is already the result of a concat. Concatenate the objects of all samples at once."
            )
        if not record.has_calls:
            raise ResultNotFoundError(
                f"Object '{name}' has no annotation under the key '{key}'. Run tamannot.tl.annotate on it first."
            )
    names_repeat = len(set().union(*(p.obs_names for p in named.values()))) < sum(p.n_obs for p in named.values())
    given = {"merge": "same", "index_unique": "-" if names_repeat else None} | kwargs
    joined = ad.concat(named, label=label, **given)
    for name, axis in itertools.product(("", "_status", "_vote"), slots.AXES):  # anndata sorts labels
        column = slots.slot(key, f"{axis}{name}")
        if column in joined.obs and isinstance(joined.obs[column].dtype, pd.CategoricalDtype):
            order = STATUSES if name == "_status" else _ORDER.get(axis, (UNASSIGNED, NOT_MACROPHAGE))
            labels = joined.obs[column].cat.remove_unused_categories()
            found = [str(c) for c in labels.cat.categories]
            others = sorted(set(found) - set(order))
            joined.obs[column] = labels.cat.set_categories([*others, *(c for c in order if c in found)])
    for axis in slots.AXES:
        if (column := slots.slot(key, axis)) in joined.obs:
            own: dict[str, str] = {}
            for part in reversed(list(named.values())):  # of several the first counts
                own |= dict(zip(part.obs[column].cat.categories, slots.read_colors(part, key, axis), strict=False))
            slots.write_colors(joined, key, {axis: colors_for(axis, joined.obs[column].cat.categories, own)})
    kept = {k: v for k, v in joined.uns.get(slots.UNS, {}).items() if k != key}
    joined.uns[slots.UNS] = {**kept, key: _joined(joined, records, key, label)}
    return joined


def _named(
    adatas: Collection[ad.AnnData] | Mapping[str, ad.AnnData], label: str, keys: Sequence[str] | None
) -> dict[str, ad.AnnData]:
    """Return the objects by name: those given, those of a column, or numbers if it does not distinguish them."""
    if isinstance(adatas, Mapping):
        named = {str(name): part for name, part in adatas.items()}
    else:
        parts = list(adatas)
        values = [set(p.obs[label].dropna().astype(str)) if label in p.obs else set() for p in parts]
        names = [next(iter(of_part)) for of_part in values if len(of_part) == 1]
        if keys is not None:
            names = [str(k) for k in keys]
        elif len(set(names)) < len(parts):
            names = [str(i) for i in range(len(parts))]
        if len(names) != len(parts) or len(set(names)) < len(names):
            raise ParameterError(f"{len(parts)} objects need as many distinct names, not {', '.join(names) or 'none'}.")
        named = dict(zip(names, parts, strict=True))
    if len(named) < 2:
        raise ParameterError(f"concat needs two or more objects, not {len(named)}.")
    return named


def _joined(joined: ad.AnnData, records: Mapping[str, RunRecord], key: str, label: str) -> dict[str, Any]:
    """Return the record of the joined object: the values that all runs share, and the runs themselves."""
    runs = list(records.values())
    out: dict[str, Any] = {s: runs[0].stored[s] for s in _SHARED if _same([r.stored.get(s) for r in runs])}
    out["parameters"] = {
        name: value for name, value in runs[0].parameters.items() if _same([r.parameters.get(name) for r in runs])
    } | {"sample_key": label}
    first, *others = (r.signatures for r in runs)
    shared = [i for i in first.index if all(i in t.index for t in others)]
    same = [i for i in shared if all(str(t.loc[i, "digest"]) == str(first.loc[i, "digest"]) for t in others)]
    if differ := [str(i) for i in shared if i not in same]:
        which = f"The objects were annotated with different versions of {some_of(differ)}"
        tell({f"{which}: their scores are not comparable.": TamannotWarning})
    out["signatures"] = first.loc[same, ["version", "axis", "digest"]]
    coverage = pd.concat([r.coverage for r in runs]).reset_index(names="signature")
    lowest = coverage.sort_values("coverage", kind="stable")
    out["coverage"] = lowest.groupby("signature", sort=False).first().loc[out["signatures"].index]
    out["substitutions"] = pd.concat([r.substitutions for r in runs]).pipe(lambda t: t[~t.index.duplicated()])
    if all(r.has("ferroptosis") for r in runs):
        programs, n_cells = runs[0].ferroptosis, np.array([r.matrix.n_obs for r in runs], float)
        shares = np.stack([r.ferroptosis["share_low_signal"].reindex(programs.index) for r in runs])
        out["ferroptosis"] = programs.assign(share_low_signal=n_cells @ shares / n_cells.sum())
    labels = {axis: joined.obs[slots.slot(key, axis)] for axis in slots.AXES if slots.slot(key, axis) in joined.obs}
    out["counts"] = {axis: {str(w): int(n) for w, n in c.value_counts().items() if n} for axis, c in labels.items()}
    said = Counter(w for r in runs for w in r.warnings)
    one_of = {w: name for name, r in reversed(list(records.items())) for w in r.warnings}
    lines = [
        w if n == len(runs) else f"{one_of[w]}{f' and {n - 1} more' if n > 1 else ''}: {w}" for w, n in said.items()
    ]
    out["warnings"] = np.array(lines, dtype=object)
    kept = {name: {k: v for k, v in r.stored.items() if k not in _NOT_KEPT} for name, r in records.items()}
    stored = {slots.variant_of(name): values for name, values in kept.items()}
    return out | _matrix(joined, runs) | {slots.JOINED: {"label": label, "runs": stored}}


def _matrix(joined: ad.AnnData, runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the shared matrix and the places of the signature genes in it; nothing if the runs differ."""
    first, names = runs[0].matrix, ("name", "kind", "gene_ids", "species")
    for name in names:
        values = list(dict.fromkeys(getattr(r.matrix, name) for r in runs))
        if len(values) > 1:
            said = f"The objects were annotated from different matrices ({name}: {', '.join(values)})."
            tell({f"{said} Functions that need one matrix for all cells will not work.": TamannotWarning})
            return {}
    try:
        ids = slots.gene_ids_of(joined, first)
    except ResultNotFoundError as error:
        tell({f"{error} Functions that need the matrix will not work.": TamannotWarning})
        return {}
    matrix = {name: getattr(first, name) for name in names} | {"n_obs": joined.n_obs, "n_vars": ids.size}
    out: dict[str, Any] = {"matrix": matrix, "null_reference": {"gene_ids": ids}}
    if all(r.has("evidence") for r in runs) and _same([r.evidence.parts for r in runs]):
        place = pd.Series(np.arange(ids.size), index=ids)
        place = place[~place.index.duplicated()]
        of_runs = [(r.evidence.genes, r.gene_ids) for r in runs]
        tables = [genes.assign(column=place.reindex(own[genes["column"]]).to_numpy()) for genes, own in of_runs]
        genes = pd.concat(tables).dropna(subset="column").astype({"column": np.int32})
        genes = genes[~genes.duplicated(["part", "column"])].sort_values("part", kind="stable")
        out["evidence"] = {"parts": runs[0].evidence.parts, "genes": genes, "bins": {}}
    return out


def _same(values: Sequence[Any]) -> bool:
    """Return whether all values exist and are equal, including tables and arrays."""
    first = values[0]
    return first is not None and all(_equal(first, other) for other in values[1:])


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, pd.DataFrame):
        return isinstance(b, pd.DataFrame) and a.astype(str).equals(b.astype(str))
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else bool(a == b)
