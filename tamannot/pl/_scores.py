"""How far to trust scores and labels: z against its null, coverage of genes, reliability of probabilities."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from scipy import stats

import tamannot.data as slots
from tamannot.analysis._samples import library_species, scores_in
from tamannot.classify import NOT_MACROPHAGE
from tamannot.data import AXES, Array
from tamannot.errors import ParameterError, ResultNotFoundError, among
from tamannot.get import coverage as coverage_of
from tamannot.pl import _style as common
from tamannot.pl._cells import as_labels, labels_of
from tamannot.pl._style import FigureOptions, Palette, figure, naming, pretty
from tamannot.signature import Signature, Signatures, chosen_signatures, signatures_named
from tamannot.stats import _classifiers
from tamannot.tl._write import COLORS

_CUT = 0.01
_AT_LEAST = 4.0  # the figure always shows z from -4 to 4
_WIDTH = 0.25
_STEPS = ((200, 1), (50, 2), (0, 4))  # from so many cells, every edge of a bin, every second or every fourth is used
_TAIL = 0.001
_HEIGHT = 0.85


class _Row(NamedTuple):
    """One distribution."""

    name: str
    z: Array
    text: str  # at the right
    color: str
    baselines: Mapping[str, float]  # by origin, z of macrophages in which the state is not active


@figure
def scores(
    adata: AnnData,
    signatures: Signatures | str | os.PathLike[str] | None = None,
    *,
    groupby: str | None = None,
    only_macrophages: bool | None = None,
    key: str = "tam",
    palette: Palette | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the distribution of z of signatures over cells, compared with the null.

    Parameters
    ----------
    adata
        An annotated object, or one scored with ``null="matched"``.
    signatures
        What to draw, as in `tl.score`: an axis (``"state"``), an id (``"m1"``), its label (``"lipid-associated"``), a
        list of these, genes, or signatures. What the run did not score is scored in the drawn cells, against genes of
        equal expression in them. None draws the states, or else all signatures.
    groupby
        Column of ``obs``, such as the sample or the called state: one distribution per group.
    only_macrophages
        Leave out other cells. None does so for an annotated object, unless a compartment is among the signatures.

    Returns
    -------
    The axes: one row per signature or group with the density of z, in bins of 0.25, wider for fewer than 200 cells. The
    line in each row is the standard normal distribution, which z follows, except for its skew, if the genes of a
    signature behave like other genes of the same expression; the grey band is its central 98 %. The null is competitive
    and assumes independent genes, so correlated genes make the distribution wider or shift it. Triangles are the
    baselines of a state, above which it is called (`get.evidence`).

    The text at the right is the share of cells with that label. For other signatures it is the share with p below 0.01
    (1 % by chance), among cells with a p, and the share of cells without one, in which too few genes are detected.
    Cells are not replicates, and a share above 1 % alone does not show a program.

    Raises
    ------
    ParameterError
        No such column, or ``signatures`` is empty.
    TamannotError
        No such signature, or none of the genes is in the data.
    ResultNotFoundError
        There is no z, because the object was not scored or scored without a null; or there are no cells to draw.
    """
    z, p = (slots.read_table(adata, key, kind) for kind in ("z", "p"))
    record, is_annotated = slots.read_record(adata, key), slots.slot(key, "state") in adata.obs
    axis_of = {str(i): str(axis) for i, axis in record.signatures["axis"].items()}
    wanted = _chosen(list(map(str, z.columns)), record, signatures)
    here: Array = np.ones(adata.n_obs, bool)
    about_all = any(axis_of.get(i) == "compartment" for i in wanted)
    if (is_annotated and not about_all) if only_macrophages is None else only_macrophages:
        here = np.asarray(labels_of(adata, key, "state") != NOT_MACROPHAGE)
    if not here.any():
        raise ResultNotFoundError("There are no cells to draw. only_macrophages=False draws all cells.")
    if new := {i: s for i, s in wanted.items() if s is not None}:
        new_z, new_p, _ = scores_in(adata, key, here, new)
        z, p = z.assign(**{i: new_z[i].to_numpy() for i in new}), p.assign(**{i: new_p[i].to_numpy() for i in new})

    groups: dict[str | None, Array] = {None: here}
    if groupby is not None:
        column = as_labels(slots.obs_column(adata, groupby))
        within = {name: here & (column == name) for name in column.categories if name != NOT_MACROPHAGE}
        groups = {name: cells for name, cells in within.items() if cells.any()}
    colors = common.colors_of(adata, key, "state") if is_annotated else {}
    if palette is not None:
        colors = colors | common.of_palette(palette, [group for group in groups if group] or list(wanted))
    rows, written = list[_Row](), naming(groupby, key)
    for i in wanted:
        axis = "" if i in new else axis_of.get(i, "")
        is_label = axis in AXES and slots.slot(key, axis) in adata.obs
        is_called = slots.labels_of(adata, key, axis) == i if is_label else None
        has_baselines = (record.baselines.index == i) & (i not in new)
        baselines = dict(record.baselines.loc[has_baselines, ["origin", "baseline"]].to_numpy())
        for group, cells in groups.items():
            name = [pretty(i)] if group is None or len(wanted) > 1 else []
            name += [] if group is None else [written(group)]
            text = _text_of(p[i].to_numpy()[cells], None if is_called is None else is_called[cells])
            color = colors.get(group or i, colors.get(i, common.BLUE))
            rows.append(_Row(", ".join(name), z[i].to_numpy()[cells], text, color, baselines))

    ax = ax or common.new_axes(7.2, 1.4 + 0.42 * max(len(rows), 3))
    _draw(ax, rows)
    what = "z of signatures" if len(wanted) > 1 else f"z of {pretty(next(iter(wanted)))}"
    of = "macrophages" if only_macrophages or here.sum() < adata.n_obs else "cells"
    ax.set_title(f"{what} in {here.sum():,} {of}" + (f", by {pretty(groupby)}" if groupby else ""))
    return ax


def _chosen(
    have: list[str], record: slots.RunRecord, given: Signatures | str | os.PathLike[str] | None
) -> dict[str, Signature | None]:
    """Return the ids to draw, with None for those that the run has scored, or else the signature."""
    axis_of, digests = (record.signatures[name].astype(str).to_dict() for name in ("axis", "digest"))
    if given is None:
        return dict.fromkeys([i for i in have if axis_of.get(i) == "state"] or have)
    words = [given] if isinstance(given, str) else list(given) if isinstance(given, Sequence | pd.Index) else []
    of_run = {w: [i for i in have if w in (i, axis_of.get(i), pretty(i))] for w in words if isinstance(w, str)}
    out: dict[str, Signature | None] = {}
    if any(of_run.values()):
        for word in map(str, words):
            out |= dict.fromkeys(of_run.get(word, ())) or signatures_named([word], library_species(record))
    else:
        out |= chosen_signatures(given, lambda: library_species(record))
    if not out:
        raise ParameterError("signatures is empty; give at least one id, or None for the states.")
    return {i: None if s and i in have and digests.get(i) == s.digest else s for i, s in out.items()}


def _draw(ax: Axes, rows: list[_Row]) -> None:
    # The bins contain the null and all rows except 0.1 % at either end.
    ends = [np.quantile(z, [_TAIL, 1 - _TAIL]) for row in rows if (z := row.z[np.isfinite(row.z)]).size]
    lowest = min([-_AT_LEAST, *(float(np.floor(low)) for low, _ in ends)])
    highest = max([_AT_LEAST, *(float(np.ceil(high)) for _, high in ends)])
    edges = np.arange(lowest, highest + _WIDTH / 2, _WIDTH)
    grid = np.linspace(-_AT_LEAST, _AT_LEAST, 161)
    null, cut = stats.norm.pdf(grid), float(stats.norm.isf(_CUT))
    ax.axvspan(-cut, cut, color="0.93", zorder=0, linewidth=0)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(len(rows) - 0.9, -1.05), xlabel="z against matched genes of the same cell")
    size = common.name_ticks(ax, "y", range(len(rows)), [row.name for row in rows])
    common.write_beside(ax, range(len(rows)), [row.text for row in rows], size, va="bottom")
    named = set[str]()
    triangle: dict[str, Any] = {"marker": "^", "markeredgecolor": "black", "markersize": 0.6 * size, "zorder": 4}
    for place, row in enumerate(rows):
        known, step = row.z[np.isfinite(row.z)], next(step for fewest, step in _STEPS if row.z.size >= fewest)
        bins = edges[::step]
        density = np.histogram(known, bins)[0] / (max(known.size, 1) * (bins[1] - bins[0]))
        unit = _HEIGHT / max(float(density.max()), float(null.max()))
        ax.stairs(place - unit * density, bins, baseline=place, fill=True, color=row.color, alpha=0.85, zorder=2)
        label = "null: standard normal" if place == 0 else None
        ax.plot(grid, place - unit * null, color="black", linewidth=0.9, zorder=3, label=label)
        ax.axhline(place, color="0.6", linewidth=0.5, zorder=1)
        for origin, baseline in row.baselines.items():
            label = f"baseline, {pretty(origin)}" if origin not in named else None
            named.add(origin)
            color = COLORS["origin"][origin]
            ax.plot(baseline, place, linestyle="", color=color, label=label, **triangle)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    common.legend_above(ax, ncols=3, borderaxespad=0.1)


def _text_of(p: Array, called: Array | None) -> str:
    if called is not None:
        return f"called {called.mean():.1%} of {called.size:,}"
    known = np.isfinite(p)
    if not known.any():
        return f"no p ({p.size:,} cells)"
    share = f"p < {_CUT} in {(p[known] < _CUT).mean():.1%} of {known.sum():,}"
    return share if known.all() else f"{share}\n({1 - known.mean():.0%}: too few genes)"


@figure
def coverage(
    adata: AnnData,
    *,
    axis: str | Sequence[str] | None = None,
    threshold: float = 0.5,
    key: str = "tam",
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw the share of the genes of each signature that are in the data.

    Parameters
    ----------
    adata
        A scored or annotated object.
    axis
        Axis or axes of the signatures to draw, such as ``"state"``; None draws all.
    threshold
        Share, from 0 to 1, below which a signature is marked. Below the default, `tl.annotate` writes the status
        ``low_coverage`` instead of ``low_signal``.

    Returns
    -------
    The axes: one bar per signature, by axis in the order of the run, with the number of its genes in the data and, if
    at most four are missing, their names. A gene is in the data if it is a column of the matrix, even if no cell
    expresses it.

    Raises
    ------
    ParameterError
        No such axis, or ``threshold`` outside 0 to 1.
    ResultNotFoundError
        Nothing was computed under the key.
    """
    if not 0 <= threshold <= 1:
        raise ParameterError(f"threshold is a share from 0 to 1, not {threshold}.")
    table = coverage_of(adata, key)
    table["axis"] = slots.read_record(adata, key).signatures["axis"].reindex(table.index).astype(str)
    have = list(dict.fromkeys(table["axis"]))
    wanted = [axis] if isinstance(axis, str) else list(have if axis is None else axis)
    if unknown := [a for a in wanted if a not in have]:
        raise ParameterError(f"No axis {', '.join(map(repr, unknown))} in the run '{key}'.{among(unknown[0], have)}")
    table = table[table["axis"].isin(wanted)].sort_values("axis", key=lambda a: a.map(have.index), kind="stable")

    axes = list(dict.fromkeys(table["axis"]))
    place = np.arange(len(table)) + 0.8 * table["axis"].map(axes.index).to_numpy()  # with a gap between axes
    each = 0.3 if len(table) <= 12 else 0.2
    ax = ax or common.new_axes(7.2, 1.5 + each * (place[-1] + 1))
    share = table["coverage"].to_numpy(float)
    few = share < threshold
    ax.barh(place, 1.0, 0.75, color="#e6e6e6", label="missing")
    ax.barh(place[~few], share[~few], 0.75, color=common.BLUE, label="in the data")
    if few.any():
        style: dict[str, Any] = {"color": common.VERMILION, "hatch": "////", "edgecolor": "white", "linewidth": 0}
        ax.barh(place[few], share[few], 0.75, label=f"in the data, below {threshold:.0%}", **style)
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(place[-1] + 0.6, -0.6 - 0.8 * (len(axes) > 1)), xlabel="share of the genes in the data")
    size = common.name_ticks(ax, "y", place, [pretty(str(i)) for i in table.index])
    texts = []
    for row in table.itertuples():
        names = [s for s in str(row.missing).split(",") if s]
        without = f", without {', '.join(names)}" if 0 < len(names) <= 4 else ""
        texts.append(f"{row.n_present} of {row.n_genes}{without}")
    common.write_beside(ax, place, texts, 0.8 * size)
    first = pd.Series(place, table["axis"].to_numpy()).groupby(level=0).min()
    for name, y in first.items() if len(first) > 1 else ():
        ax.text(0.008, y - 0.62, str(name), fontsize=0.75 * size, style="italic", va="bottom", color="0.3")
    ax.set_title(f"Coverage of {len(table)} signatures")
    common.legend_above(ax, ncols=3, borderaxespad=0.2)
    return ax


@figure
def reliability(
    proba: pd.DataFrame | Sequence[float] | Array,
    truth: Sequence[object] | pd.Series | Array,
    *,
    n_bins: int = 15,
    label: str | None = None,
    ax: Axes | None = None,
    **_options: Unpack[FigureOptions],
) -> Axes:
    """Draw how often calls of each predicted probability are right.

    Parameters
    ----------
    proba
        Probability of an event, from 0 to 1, one value per cell; or a table of cells × classes, such as
        ``adata.obsm["tam_state_proba"]``, of which the most probable class is used.
    truth
        Whether the event occurred, one value per cell; for a table the true class. Leave cells whose truth is unknown
        out of both.
    n_bins
        Maximal number of bins, at least 1. Bins have equal numbers of cells; equal probabilities share a bin.
    label
        Name of the curve in the legend. Call again with the same ``ax`` for another curve.

    Returns
    -------
    The axes: the observed share of each bin, with its 95 % interval (Wilson), against the mean predicted probability.
    Below the diagonal, probabilities are overconfident. The legend has the expected calibration error (ECE), the Brier
    score, and the slope of the logit of the outcome on that of the probability: 1 is calibrated, less is overconfident.
    The intervals assume independent cells, which cells of few donors are not.

    Raises
    ------
    ParameterError
        There are no cells, the lengths differ, ``proba`` is not probabilities, ``truth`` is not yes or no or has
        classes that ``proba`` does not have, or ``n_bins`` is below 1.

    Examples
    --------
    >>> import tamannot as tam
    >>> ax = tam.pl.reliability([0.1, 0.2, 0.8, 0.9], [False, False, True, True], n_bins=2)
    >>> ax.get_xlabel()
    'predicted probability'
    """
    common.check_positive("n_bins", n_bins)
    stated, happened = _checked(proba, truth)
    found = _classifiers.reliability(stated, happened, n_bins)
    slope = f"slope {found.slope:.2f}" if np.isfinite(found.slope) else "no slope"
    figures = f"ECE {found.ece:.3f}, Brier {found.brier:.3f}, {slope}"
    ax = ax or common.new_axes(4.8, 5.1)
    n_before = len(ax.containers)
    if not n_before:
        ax.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="0.45", label="calibrated", zorder=1)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="predicted probability", ylabel="share of right calls")
        ax.set_aspect("equal")
    # A share is within its interval, up to rounding.
    reach = np.maximum([found.observed - found.low, found.high - found.observed], 0.0)
    i = n_before % len(common.CURVES)
    style: dict[str, Any] = {"color": common.CURVES[i], "marker": common.MARKERS[i], "markersize": 5, "linewidth": 1.2}
    style |= {"elinewidth": 0.9, "capsize": 2, "label": f"{label}\n{figures}" if label else figures}
    ax.errorbar(found.stated, found.observed, yerr=reach, **style)
    ax.legend(loc="best", frameon=False, fontsize="small")
    ax.set_title(f"Reliability of probabilities in {len(stated):,} cells")
    return ax


def _checked(
    proba: pd.DataFrame | Sequence[float] | Array, truth: Sequence[object] | pd.Series | Array
) -> tuple[Array, Array]:
    """Return the probability of each cell's event, or of its most probable class, and whether it was right."""
    try:
        values = np.asarray("" if isinstance(proba, AnnData) else proba, float)  # not cell by cell
    except (TypeError, ValueError) as error:
        raise ParameterError(
            "proba must be numbers in [0, 1], one per cell, or a DataFrame of cells × classes."
        ) from error
    happened = np.asarray(truth)
    if not values.size:
        msg = "proba is empty; there is nothing to draw."
    elif not ((values >= 0) & (values <= 1)).all():
        msg = "proba has values that are not probabilities: below 0, above 1, or NaN. Leave such cells out."
    elif values.ndim != 1 and not isinstance(proba, pd.DataFrame):
        msg = f"proba has {values.ndim} dimensions; give one probability per cell, or a DataFrame of cells × classes."
    elif len(values) != len(happened):
        msg = f"proba has {len(values):,} cells and truth {len(happened):,}; both must have the same cells."
    elif isinstance(proba, pd.DataFrame):
        labels, classes = happened.astype(str), proba.columns.astype(str).to_numpy()
        if not (unknown := sorted(set(labels) - set(classes))):
            return values.max(axis=1), classes[values.argmax(axis=1)] == labels
        msg = (
            f"truth has classes that proba does not have: {', '.join(unknown[:5])}. Available: {', '.join(classes)}. "
            "Leave cells of other classes out of both."
        )
    elif not np.isin(happened, [0, 1]).all():
        msg = "truth must be yes or no (True, False, 1, 0); for classes give proba as a DataFrame."
    else:
        return values, happened.astype(bool)
    raise ParameterError(msg)
