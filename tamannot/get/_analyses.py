"""Results of the analyses as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError

# Of each analysis the call that makes it, and its tables.
_ANALYSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "claims": ("tl.claims(adata, sample_key)", ("claims", "detection")),
    "composition": ("tl.composition(adata, sample_key)", ("tests", "shares", "expected", "samples")),
    "crosstalk": ("tl.crosstalk(adata, sample_key, malignant=…)", ("tests", "samples")),
    "enrichment": ("tl.enrich(adata, groupby)", ("signatures", "clusters")),
    "ferroptosis_summary": ("tl.ferroptosis_summary(adata, sample_key)", ("samples", "effects", "genes")),
    "regions": ("tl.regions(adata, …)", ("tests", "samples")),
}
_RECORDED_AS = {("enrichment", "signatures"): "table", ("regions", "tests"): "table"}  # their names in the record
# Tables that only some runs of `tl.composition` write, and how to get them.
_ABSENT = {
    "expected": "These labels have no probabilities, or the shares were computed by an older release. Run "
    "tamannot.tl.composition again.",
    "tests": "No conditions were compared. Run tamannot.tl.composition(adata, sample_key, condition=…), or get the "
    "shares with table='shares'.",
}


def claims(adata: AnnData, key: str = "tam", *, kind: Literal["claims", "detection"] = "claims") -> pd.DataFrame:
    """Return the results of `tl.claims`.

    Parameters
    ----------
    adata
        An object after `tl.claims`.
    key
        The ``key_added`` of the run.
    kind
        ``"claims"`` or ``"detection"``, as below.

    Returns
    -------
    ``claims``: one row per claim and test: ``claim_id`` (the number in the list of claims, with a letter if a claim is
    tested in several ways), ``claim``, ``source``, ``kind``, ``expected`` (positive, negative, detected, or a range),
    ``test`` (what was computed), ``observed`` with its interval ``low``, ``high`` (95 %, over samples), ``n_samples``,
    ``n_cells``, ``verdict`` (supported, not supported, detected, inconclusive, not measurable), ``reason`` and
    ``note``. Results with other genes of equal mean expression in the same cells: ``n_swaps`` (swaps that gave an
    interval; 0 if there are no genes to swap), ``swapped`` (mean observed value), ``p_swapped`` (share that is as
    extreme in the expected direction, including the claim itself, so at least 1/21), ``swapped_same`` (share with the
    same verdict) and ``swapped_supported`` (share that is supported; its sum is the number expected by chance).
    ``observed`` is a rank correlation for ``within`` and ``across``, a share of cells for ``detection`` and ``share``,
    and a difference of shares for ``difference`` and ``groups``.

    ``detection``: the checkpoint panel by called origin and state of macrophages: ``gene``, ``origin``, ``state``
    (``all``: any), ``n_cells`` (the denominator), ``n_detected``, ``share_detected`` over all cells, and
    ``mean``, ``low``, ``high`` over the ``n_samples`` with enough cells. A gene that is not in the data has no row.

    ``attrs`` has the parameters and ``cautions``, sentences that a reader should see.

    Raises
    ------
    ParameterError, ResultNotFoundError
        There is no such kind, or `tl.claims` was not run.
    """
    return _table(adata, key, "claims", kind)


def composition(
    adata: AnnData,
    key: str = "tam",
    *,
    table: Literal["tests", "shares", "expected", "samples"] = "tests",
    axis: Literal["state", "origin", "compartment"] | None = None,
) -> pd.DataFrame:
    """Return the results of `tl.composition`.

    Parameters
    ----------
    adata
        An object after `tl.composition`.
    key
        The ``key_added`` of the annotation.
    table
        ``"tests"``: a row for each label and contrast; ``"shares"`` of cells as called, and ``"expected"`` shares: a
        row for each sample and label; ``"samples"``: for each sample.
    axis
        Axis of the labels; None uses the most recent comparison.

    Returns
    -------
    A copy; ``attrs["parameters"]`` and ``attrs["cautions"]`` are those of the run.

    Of ``"tests"``: ``label``, ``contrast``, ``condition``, ``reference``; ``share``, ``share_reference`` (mean over
    samples of the counts tested); ``log_odds``, ``odds_ratio``, ``low``, ``high`` (95 % interval of the odds
    ratio), ``t``, ``df``, ``p``, ``q``; ``p_logratio``, of the centred log-ratio; ``p_overall``, F over all contrasts;
    ``dispersion``, 1 where cells were independent; ``rho``, correlation of two cells of a sample; ``n_samples``;
    ``counts``, ``called`` or ``expected``, the same in all rows; ``note``.

    Of ``"shares"``: ``sample``, ``condition`` if there is one, ``label``, ``n_cells`` called so, ``n_macrophages``,
    ``n_total`` (what it is a share of), ``share``, ``low``, ``high`` (Wilson's 95 %, within this sample alone).

    Of ``"expected"``, of states and origins: the same with ``expected_cells``, the sum of the probabilities, and
    ``expected_share``, their mean, instead of ``n_cells``, ``share`` and its interval.

    Raises
    ------
    ParameterError
        The table does not exist.
    ResultNotFoundError
        `tl.composition` was not run, or was run without a condition, so that nothing was tested.
    """
    return _table(adata, key, "composition", table, of=axis, argument="table").reset_index(drop=True)


def crosstalk(adata: AnnData, key: str = "tam", *, kind: Literal["tests", "samples"] = "tests") -> pd.DataFrame:
    """Return the associations between macrophages and malignant cells over samples, or the values behind them.

    Parameters
    ----------
    adata
        An object after `tl.crosstalk`.
    key
        The ``key_added`` of the annotation.
    kind
        ``"tests"``, one row per hypothesis, or ``"samples"``, one row per sample.

    Returns
    -------
    A copy. Of tests: ``measure`` (``share``, ``program`` or ``gene`` of macrophages; ``t_cell``, of T and NK cells),
    ``tam`` (which), ``malignant``, ``expected`` (the sign fixed before the data were seen), ``rho``, ``p``, its 95 %
    interval ``low`` and ``high``, ``loo_low`` and ``loo_high`` (the range with one sample left out), the same adjusted
    (``rho_adjusted``, …, ``adjusted_for``, and ``rho_given_…`` for each covariate alone), ``n_samples``, ``q`` and
    ``q_adjusted`` over the tests of the call (NaN where the samples are too few for any to be below 0.05),
    ``low_signal_tam``, ``low_signal_malignant`` (share of cells that show fewer than three genes of the program, or not
    the gene, mean over samples; NaN for the share of a state). Of samples: numbers of cells, shares, programs,
    covariates, and ``used``. ``attrs`` has ``cautions``, a list of sentences, and ``parameters``. An association is not
    a cause and has no direction.

    Raises
    ------
    ParameterError, ResultNotFoundError
        There is no such kind, or `tl.crosstalk` was not run.
    """
    return _table(adata, key, "crosstalk", kind)


def enrichment(
    adata: AnnData,
    key: str = "tam",
    *,
    kind: Literal["signatures", "clusters"] = "signatures",
    groupby: str | None = None,
) -> pd.DataFrame:
    """Return the results of `tl.enrich`.

    Parameters
    ----------
    adata
        An object after `tl.enrich`.
    key
        The ``key_added`` of the run.
    kind
        ``"signatures"``: one row per group and signature. ``"clusters"``: one row per group, with its names.
    groupby
        The compared column; None uses the most recent comparison.

    Returns
    -------
    A copy; parameters and cautions are in ``attrs``. Of signatures: ``group``, ``signature``, ``es`` (enrichment
    score, -1 to 1), ``nes`` (over that of random sets of the same size; above 0: higher in the group), ``p``, ``q``
    (within the group), ``difference`` (mean excess of the genes of the signature over all genes in the group, log2 or
    the unit of log-normalised data, mean over samples), ``p_samples`` (t test of it over samples; NaN by cells),
    ``n_genes`` (genes in the ranking), ``leading_edge`` (those before the peak, joined by ``;``), ``rank`` (1: the
    greatest NES of the group), ``unit`` (what genes were ranked over, ``sample`` or ``cell``), ``n_samples`` (0 by
    cells), ``n_cells`` of the group.

    Of clusters: ``group``, ``n_cells``, and for each of ``compartment``, ``origin`` and ``state`` the signature with
    the greatest NES if its q is at most 0.05, over samples its ``difference`` at least 0.4, and of four samples or
    more its ``p_samples`` at most 0.05, else ``unassigned``; ``…_nes`` and ``…_q`` of that signature, also where it
    is below these limits; ``…_cells``, the most frequent label of the called cells of the group; ``…_share``, its share
    of these cells; ``…_agree``, whether the two agree. Origin and state are ``not_macrophage`` if most called cells of
    the group are not macrophages, and ``unassigned`` if macrophages were not compared with macrophages.

    Raises
    ------
    ParameterError, ResultNotFoundError
        There is no such kind, or `tl.enrich` was not run.
    """
    return _table(adata, key, "enrichment", kind, of=groupby)


def ferroptosis(
    adata: AnnData,
    key: str = "tam",
    *,
    kind: Literal["samples", "effects", "genes"] = "samples",
    groupby: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the results of `tl.ferroptosis_summary`.

    Parameters
    ----------
    adata
        An object after `tl.ferroptosis_summary`.
    key
        The ``key_added`` of the run.
    kind
        ``"samples"``, ``"effects"`` or ``"genes"``, as below.
    groupby
        The summarised labels; None uses the most recent summary.

    Returns
    -------
    ``samples``: one row per sample, label and program: ``z`` (mean over the cells, against the matched null),
    ``n_cells``, ``n_genes_detected`` (of the program's genes, median over the cells), ``low_signal`` (share of the
    cells with fewer than three of them), ``effect_self`` and ``effect_neighbour`` (drives, restrains, context, none:
    the effect of the program on ferroptosis of the cell itself and of its neighbours).

    ``effects``: one row per label and program: ``difference`` of the mean z within samples between the label's cells
    and those of ``against``, its interval ``low``, ``high`` (95 %, Student's t over samples), ``hedges_g``, ``p``,
    ``q`` (Benjamini and Hochberg over all rows), ``n_samples``, ``n_same_direction``, and ``shared_genes``, which are
    used both to call the label and to score the program. Fewer than three samples have no interval.

    ``genes``: one row per label, program and gene: ``share_detected`` of the label's cells, ``hardly_detected`` below
    1 %. Genes of a program that are not in the data have no row.

    ``kind`` of a row is ``program`` (the sixteen), ``summary`` (drive, defence, balance: the signed, de-duplicated
    sets) or ``theme`` (iron, glutathione, pufa, lipid_peroxide: mean z of programs). ``attrs`` has the parameters and
    ``cautions``, sentences that a reader should see.

    Raises
    ------
    ParameterError, ResultNotFoundError
        There is no such kind, or `tl.ferroptosis_summary` was not run.
    """
    of = groupby if groupby is None or isinstance(groupby, str) else list(groupby)
    return _table(adata, key, "ferroptosis_summary", kind, of=of)


def regions(
    adata: AnnData, key: str = "tam", *, kind: Literal["tests", "samples"] = "tests", column: str | None = None
) -> pd.DataFrame:
    """Return the results of `tl.regions`.

    Parameters
    ----------
    adata
        An object after `tl.regions`.
    key
        The ``key_added`` of the run.
    kind
        ``"tests"``: tests over samples. ``"samples"``: the results of each sample.
    column
        The tested column of regions or distances; None uses the most recent test.

    Returns
    -------
    A copy; parameters and cautions are in ``attrs``. For a distance, one row per signature: ``correlation`` (Spearman,
    mean over samples as Fisher z), ``low`` and ``high`` (95 %), ``p`` (t over samples, two-sided), ``q`` (Benjamini
    and Hochberg over the rows), ``n_samples``, ``n_spots``. For regions, one row per signature and pair, with
    ``region``, ``reference`` and ``difference`` (mean score of the region minus that of the reference, mean over
    samples). With one sample, interval, p and q are NaN. Of samples: ``sample``, ``signature``, ``correlation`` or
    ``difference``, ``n_spots``, and the pair.

    Raises
    ------
    ParameterError, ResultNotFoundError
        There is no such kind, or `tl.regions` was not run.
    """
    return _table(adata, key, "regions", kind, of=column)


def _table(
    adata: AnnData, key: str, name: str, chosen: str, of: str | list[str] | None = None, argument: str = "kind"
) -> pd.DataFrame:
    """Return a copy of the table that the caller's ``argument`` chose; ``attrs`` has the rest of the record."""
    call, tables = _ANALYSES[name]
    if chosen not in tables:
        raise ParameterError(f"{argument} must be one of {', '.join(tables)}, not {chosen!r}.")
    record = slots.read_analysis(adata, key, name, of=of, call=call)
    recorded = _RECORDED_AS.get((name, chosen), chosen)
    if recorded not in record:
        msg = f"The results of '{name}' under the key '{key}' have no table '{chosen}'. Run tamannot.{call} again."
        raise ResultNotFoundError(_ABSENT.get(chosen, msg) if name == "composition" else msg)
    table = pd.DataFrame(record[recorded]).copy()
    table.attrs = {name: _plain(value) for name, value in record.items() if not isinstance(value, pd.DataFrame)}
    return table


def _plain(value: Any) -> Any:
    """Return texts as lists, not arrays: pandas compares attrs when it joins or prints tables."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [str(v) for v in value] if isinstance(value, np.ndarray) else value
