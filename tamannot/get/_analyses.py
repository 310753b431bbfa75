"""What the analyses found, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError

# Of each analysis the call that makes it, and its tables by the names of the reader and of the record.
_ANALYSES: dict[str, tuple[str, dict[str, str]]] = {
    "claims": ("tl.claims(adata, sample_key)", {"claims": "claims", "detection": "detection"}),
    "composition": (
        "tl.composition(adata, sample_key)",
        {"tests": "tests", "shares": "shares", "expected": "expected", "samples": "samples"},
    ),
    "crosstalk": ("tl.crosstalk(adata, sample_key, malignant=…)", {"tests": "tests", "samples": "samples"}),
    "enrichment": ("tl.enrich(adata, groupby)", {"signatures": "table", "clusters": "clusters"}),
    "ferroptosis_summary": (
        "tl.ferroptosis_summary(adata, sample_key)",
        {"samples": "samples", "effects": "effects", "genes": "genes"},
    ),
    "regions": ("tl.regions(adata, …)", {"tests": "table", "samples": "samples"}),
}
# Tables that only some runs of `tl.composition` make, and what to do to have them.
_ABSENT = {
    "expected": "These labels have no probabilities, or the shares were computed by an older release. Run "
    "tamannot.tl.composition again.",
    "tests": "No conditions were compared. Run tamannot.tl.composition(adata, sample_key, condition=…), or get the "
    "shares with table='shares'.",
}


def claims(adata: AnnData, key: str = "tam", *, kind: Literal["claims", "detection"] = "claims") -> pd.DataFrame:
    """Return what `tl.claims` found.

    Parameters
    ----------
    adata
        An object whose claims were tested.
    key
        The ``key_added`` of the run.
    kind
        ``"claims"`` or ``"detection"``, as below.

    Returns
    -------
    ``claims``: one row a claim and test: ``claim_id`` (the number in the list of claims, and a letter where a claim is
    tested in several ways), ``claim``, ``source``, ``kind``, ``expected`` (positive, negative, detected, or a range),
    ``test`` (what was computed), ``observed`` with its interval ``low``, ``high`` (95 %, over samples), ``n_samples``,
    ``n_cells``, ``verdict`` (supported, not supported, detected, inconclusive, not measurable), ``reason`` and
    ``note``. Of the claim with other genes of equal mean expression in the same cells: ``n_swaps`` (those that gave an
    interval; 0: there is nothing to swap), ``swapped`` (mean of what was observed), ``p_swapped`` (share that goes as
    far in the expected direction, the claim counted among them, so 1/21 at least), ``swapped_same`` (share with the
    same verdict) and ``swapped_supported`` (share that is supported: its sum is what chance would support).
    ``observed`` is a rank correlation for ``within`` and ``across``, a share of cells for ``detection`` and ``share``,
    and a difference of shares for ``difference`` and ``groups``.

    ``detection``: the checkpoint panel by called origin and state of macrophages: ``gene``, ``origin``, ``state``
    (``all``: whichever), ``n_cells`` (the denominator), ``n_detected``, ``share_detected`` over all cells, and
    ``mean``, ``low``, ``high`` over the ``n_samples`` with enough cells. A gene that is not in the data has no row.

    ``attrs`` has the parameters and ``cautions``, sentences that a reader should see.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.claims` was not run.
    """
    return _table(adata, key, "claims", kind)


def composition(
    adata: AnnData,
    key: str = "tam",
    *,
    table: Literal["tests", "shares", "expected", "samples"] = "tests",
    axis: Literal["state", "origin", "compartment"] | None = None,
) -> pd.DataFrame:
    """Return what `tl.composition` found.

    Parameters
    ----------
    adata
        An object of which `tl.composition` was run.
    key
        The ``key_added`` of the annotation.
    table
        ``"tests"``: a row for each label and contrast; ``"shares"`` of cells as called, and ``"expected"`` shares: a
        row for each sample and label; ``"samples"``: for each sample.
    axis
        Of which labels; None takes the comparison that was made last.

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
        There is no such table.
    ResultNotFoundError
        `tl.composition` was not run, or without a condition, so that nothing was tested.
    """
    found = _table(adata, key, "composition", table, of=axis, argument="table")
    return found.reset_index(drop=True)


def crosstalk(adata: AnnData, key: str = "tam", *, kind: Literal["tests", "samples"] = "tests") -> pd.DataFrame:
    """Return the associations between macrophages and malignant cells across samples, or the values behind them.

    Parameters
    ----------
    adata
        An object on which `tl.crosstalk` ran.
    key
        The ``key_added`` of the annotation.
    kind
        ``"tests"``, one row a hypothesis, or ``"samples"``, one row a sample.

    Returns
    -------
    A copy. Of tests: ``measure`` (``share``, ``program`` or ``gene`` of macrophages; ``t_cell``, of T and NK cells),
    ``tam`` (which), ``malignant``, ``expected`` (the sign written down before the data were seen), ``rho``, ``p``,
    ``low``, ``high``, ``loo_low``, ``loo_high``, the same adjusted with ``adjusted_for``, each covariate alone,
    ``n_samples``, ``q``, ``q_adjusted``, ``low_signal_tam``, ``low_signal_malignant`` (share of cells with too little
    signal). Of samples: numbers of cells, shares, programs, covariates, and ``used``. ``attrs`` has ``cautions``, a
    list of sentences, and ``parameters``. An association is no cause and has no direction.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.crosstalk` has not run.
    """
    return _table(adata, key, "crosstalk", kind)


def enrichment(
    adata: AnnData,
    key: str = "tam",
    *,
    kind: Literal["signatures", "clusters"] = "signatures",
    groupby: str | None = None,
) -> pd.DataFrame:
    """Return what `tl.enrich` found.

    Parameters
    ----------
    adata
        An object after `tl.enrich`.
    key
        The ``key_added`` of the run.
    kind
        ``"signatures"``: one row a group and signature. ``"clusters"``: one row a group, with its names.
    groupby
        The column that was compared; None takes the one that was compared last.

    Returns
    -------
    A copy; parameters and cautions are in ``attrs``. Of signatures: ``group``, ``signature``, ``es`` (enrichment
    score, -1 to 1), ``nes`` (over that of random sets of the same size; above 0: higher in the group), ``p``, ``q``
    (within the group), ``difference`` (how far the genes of the signature stand above all genes in the group, log2 or
    the unit of log-normalised data, mean over samples), ``p_samples`` (of that by t over samples; NaN by cells),
    ``n_genes`` (genes in the ranking), ``leading_edge`` (those before the peak, joined by ``;``), ``rank`` (1: the
    greatest NES of the group), ``unit`` (what genes were ranked over, ``sample`` or ``cell``), ``n_samples`` (0 by
    cells), ``n_cells`` of the group.

    Of clusters: ``group``, ``n_cells``, and for each of ``compartment``, ``origin`` and ``state`` the signature with
    the greatest NES if its q is at most 0.05, over samples its ``difference`` at least 0.4, and of four samples or
    more its ``p_samples`` at most 0.05, else ``unassigned``; ``…_nes`` and ``…_q`` of that signature, also where it
    does not suffice; ``…_cells``, the label of most of the group's cells that were called; ``…_share``, its share of
    those; ``…_agree``, whether the two are the same. Origin and state are ``not_macrophage`` where most called cells
    of the group are none, and ``unassigned`` where macrophages were not compared with macrophages.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.enrich` has not been run.
    """
    return _table(adata, key, "enrichment", kind, of=groupby)


def ferroptosis(
    adata: AnnData,
    key: str = "tam",
    *,
    kind: Literal["samples", "effects", "genes"] = "samples",
    groupby: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return what `tl.ferroptosis_summary` found.

    Parameters
    ----------
    adata
        A summarised object.
    key
        The ``key_added`` of the run.
    kind
        ``"samples"``, ``"effects"`` or ``"genes"``, as below.
    groupby
        The labels that were summarised; None takes those that were summarised last.

    Returns
    -------
    ``samples``: one row a sample, label and program: ``z`` (mean over the cells, against the matched null),
    ``n_cells``, ``n_genes_detected`` (of the program's genes, median over the cells), ``low_signal`` (share of the
    cells with fewer than three of them), ``effect_self`` and ``effect_neighbour`` (drives, restrains, context, none:
    what the program does to ferroptosis of the cell itself and of its neighbours).

    ``effects``: one row a label and program: ``difference`` of the mean z within samples between the label's cells and
    those of ``against``, its interval ``low``, ``high`` (95 %, Student's t over samples), ``hedges_g``, ``p``, ``q``
    (Benjamini and Hochberg over all rows), ``n_samples``, ``n_same_direction``, and ``shared_genes``, by which both
    the label was called and the program is scored. Fewer than three samples have no interval.

    ``genes``: one row a label, program and gene: ``share_detected`` of the label's cells, ``hardly_detected`` below
    1 %. Genes of a program that are not in the data have no row.

    ``kind`` of a row is ``program`` (the sixteen), ``summary`` (drive, defence, balance: the signed, de-duplicated
    sets) or ``theme`` (iron, glutathione, pufa, lipid_peroxide: mean z of programs). ``attrs`` has the parameters and
    ``cautions``, sentences that a reader should see.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.ferroptosis_summary` was not run.
    """
    of = groupby if groupby is None or isinstance(groupby, str) else list(groupby)
    return _table(adata, key, "ferroptosis_summary", kind, of=of)


def regions(
    adata: AnnData, key: str = "tam", *, kind: Literal["tests", "samples"] = "tests", column: str | None = None
) -> pd.DataFrame:
    """Return what `tl.regions` found.

    Parameters
    ----------
    adata
        An object after `tl.regions`.
    key
        The ``key_added`` of the run.
    kind
        ``"tests"``: over samples. ``"samples"``: what was found in each of them.
    column
        The column of regions or distances that was tested; None takes the one that was tested last.

    Returns
    -------
    A copy; parameters and cautions are in ``attrs``. Along a distance one row a signature: ``correlation`` (Spearman,
    mean over samples as Fisher z), ``low`` and ``high`` (95 %), ``p`` (t over samples, two-sided), ``q`` (Benjamini
    and Hochberg over the rows), ``n_samples``, ``n_spots``. Between regions one row a signature and pair, with
    ``region``, ``reference`` and ``difference`` (mean score of the region less that of the reference, mean over
    samples). Of one sample interval, p and q are NaN. Of samples: ``sample``, ``signature``, ``correlation`` or
    ``difference``, ``n_spots``, and the pair.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        `tl.regions` has not been run.
    """
    return _table(adata, key, "regions", kind, of=column)


def _table(
    adata: AnnData, key: str, name: str, chosen: str, of: str | list[str] | None = None, argument: str = "kind"
) -> pd.DataFrame:
    """Return a copy of a table of an analysis; ``attrs`` has all of its record that is no table.

    ``chosen`` is the table by the caller's ``argument``, ``of`` what was analysed: None takes the latest.
    """
    call, tables = _ANALYSES[name]
    if chosen not in tables:
        msg = f"{argument} must be one of {', '.join(tables)}, not {chosen!r}."
        raise ParameterError(msg)
    record = slots.read_analysis(adata, key, name, of=of, call=call)
    recorded = tables[chosen]
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
