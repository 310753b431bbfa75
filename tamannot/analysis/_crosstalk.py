"""``tl.crosstalk``: macrophages and malignant cells of the same samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis import _crosstalk_values
from tamannot.analysis._crosstalk_values import OWN_COVARIATES, Hypothesis, Pairs, Shares
from tamannot.analysis._ligand_receptor import ligand_receptor as look_at_pairs
from tamannot.analysis._ligand_receptor import load_liana
from tamannot.analysis._samples import MALIGNANT, Malignant, malignant_as_text, malignant_cells, samples_of
from tamannot.classify import UNASSIGNED
from tamannot.data import Array
from tamannot.errors import ParameterError, some_of
from tamannot.stats import _correlation
from tamannot.stats._correlation import FEWEST, supports_q
from tamannot.stats._means import benjamini_hochberg

_NO_STATE = f"share_{UNASSIGNED}"
_UNEVEN = 0.2  # if the unassigned shares of samples differ by more, shares of labels are biased
_FREE = 5  # degrees of freedom that must be left for all covariates at once; below, they are taken one at a time
_FEW_SAMPLES = 10


def crosstalk(
    adata: AnnData,
    sample_key: str,
    *,
    malignant: Malignant,
    shares: Shares = "called",
    programs: Sequence[str] | None = None,
    hypotheses: Pairs | None = None,
    covariates: Sequence[str] = OWN_COVARIATES,
    n_bootstrap: int = 1000,
    min_cells: int = 30,
    ligand_receptor: bool = False,
    rng: int = 0,
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Correlate macrophages, or T cells, with the ferroptosis programs of malignant cells over samples.

    The sample is the unit: each gives one share of a state, or one mean z of a program, over its macrophages, and one
    mean z over its malignant cells. Spearman's ρ is computed over samples. p uses all permutations of up to eight
    samples, otherwise 9,999 random ones. An association is not a cause and has no direction; the programs describe the
    handling of iron and lipid peroxides, not death; and macrophage RNA contaminates malignant cells, so read ρ together
    with the adjusted ρ.

    Parameters
    ----------
    adata
        An annotated object with the matrix that was annotated.
    sample_key
        Column of ``obs`` with the sample. Cells without one are left out.
    malignant
        Which cells are malignant: a boolean column of ``obs``, ``(column, value)`` or ``(column, [values])``. It is
        never inferred, because markers do not separate malignant from healthy glia.
    shares
        ``"called"``: the share of macrophages with that label; unassigned macrophages count in the denominator.
        ``"expected"``: the mean over macrophages of P(program present), which includes unassigned cells; states can
        overlap and need not sum to 1. ρ of a share is that of its log-odds.
    programs
        Programs of macrophages in ``hypotheses="all"``: ids of ``obsm["tam_z"]``, or context sets of the library, such
        as ``"ferroptosis_secretome"``; None takes the sixteen of ferroptosis.
    hypotheses
        None tests three hypotheses that were fixed before any data were seen: the share of lipid-associated macrophages
        with the defence of malignant cells, macrophages' iron export with the drive of malignant cells, and the share
        of interferon-primed macrophages with their balance. ``"mediators"``: products of macrophages (context sets of
        the secretome, of prostaglandins and of lipid metabolism) with the response or the defence of malignant cells.
        ``"t_cells"``: interferon gamma of T and NK cells with the cystine importer (SLC7A11, SLC3A2) of malignant
        cells, which it lowers. Or pairs such as ``[("share_lipid_associated", "gpx4_axis"), ("program_iron_export",
        "ferroptosis_drive")]``. Macrophages have ``share_…`` of a state, ``program_…`` of any id of
        ``obsm["tam_z"]`` or context set, and ``gene_…``; T and NK cells ``t_cell_…`` of a gene or context set;
        malignant cells ferroptosis programs, context sets (``"ferroptosis_response"``) and genes. Or ``"all"``: every
        state and program with every ferroptosis program.
    covariates
        What ρ is adjusted for: ``"ambient"`` (C1QA, C1QB, C1QC and TYROBP in malignant cells), ``"hypoxia"`` and
        ``"depth"`` of malignant cells, and columns of ``obs`` with one number, or one of two categories, per sample. If
        fewer than five degrees of freedom would remain, each is adjusted for alone and the weakest ρ is reported.
    n_bootstrap
        Number of bootstrap samples for the intervals.
    min_cells
        Samples with fewer macrophages or fewer malignant cells are left out; those with fewer T and NK cells have no
        value of these.
    ligand_receptor
        Also run `ligand_receptor` against the defence of malignant cells; it needs liana.
    rng
        Seed of permutations and bootstrap samples.
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"][key]["crosstalk"]`` (read them with `get.crosstalk`):
    ``tests``, one row per hypothesis; ``samples``, the values behind them; ``cautions``; ``parameters``.

    Raises
    ------
    ParameterError
        ``malignant`` is missing or incomplete, a column is missing, a name is neither a program nor a gene of the data,
        or fewer than four samples have enough cells.
    ResultNotFoundError, MatrixError
        The object is not annotated, or its matrix is missing or not the one that was annotated.

    Notes
    -----
    Malignant cells are scored again with their own expression bins, because ``obsm["tam_z"]`` uses macrophages as
    reference. Partial ρ: residuals of ranks on ranks of the covariates, p by permutation of residuals (Freedman and
    Lane). q by Benjamini and Hochberg, refused where n! < 2m / 0.05 for m tests of n samples.
    """
    adata = slots.to_work_on(adata, copy=copy)
    covariates = (covariates,) if isinstance(covariates, str) else covariates
    if shares not in ("expected", "called"):
        raise ParameterError(f"shares must be 'expected' or 'called', not {shares!r}.")
    if n_bootstrap < 0 or min_cells < 1:
        raise ParameterError(
            f"n_bootstrap must be at least 0 and min_cells at least 1, not {n_bootstrap} and {min_cells}."
        )
    if ligand_receptor:
        load_liana()  # before the work, not after
    sides = _crosstalk_values.sides_of(adata, key, samples_of(adata, sample_key), malignant_cells(adata, malignant))
    asked = _crosstalk_values.hypotheses_of(adata, key, hypotheses, programs)
    values, low_signal, cautions = _crosstalk_values.values_of_samples(adata, key, sides, asked, shares, covariates)
    covariates = [c for c in dict.fromkeys(covariates) if c in values]
    enough = (values[["n_macrophages", "n_malignant"]] >= min_cells).all(axis=1)
    _refuse_few(enough, min_cells, "macrophages")
    if "n_t_cells" in values:
        of_t_cells = [c for c in values if str(c).startswith("t_cell_")]
        with_t_cells = values["n_t_cells"] >= min_cells
        values.loc[~with_t_cells, of_t_cells] = np.nan
        _refuse_few(enough & with_t_cells, min_cells, "T or NK cells")
    table = values[enough]
    tests = run_tests(table, asked, covariates, n_bootstrap=n_bootstrap, seed=rng)
    for end, names in (("tam", [h.column for h in asked]), ("malignant", [h.other for h in asked])):
        tests[f"low_signal_{end}"] = low_signal[enough].mean().reindex(names).to_numpy()
    few = f"Left out for fewer than {min_cells} macrophages or malignant cells"
    cautions = [
        *_cautions_on_tests(tests, table, covariates),
        *cautions,
        *([] if enough.all() else [f"{few}: {some_of(values.index[~enough])}."]),
        *_cautions_on_shares(adata, table, asked, shares, key),
    ]
    named = "pre-specified" if hypotheses is None else "named"
    # Of the programs of macrophages only those asked for; cells as called are not shown beside expected shares.
    wanted = {h.column for h in asked}
    hidden = [c for c in values if str(c).startswith("program_") or (c == _NO_STATE and shares == "expected")]
    record = {
        "tests": tests,
        "samples": values.drop(columns=[c for c in hidden if c not in wanted]).assign(used=enough),
        "cautions": cautions,
        "parameters": {
            "sample_key": sample_key,
            "malignant": malignant_as_text(malignant),
            "shares": shares,
            "hypotheses": hypotheses if isinstance(hypotheses, str) else named,
            "covariates": "+".join(covariates),
            "n_bootstrap": n_bootstrap,
            "min_cells": min_cells,
            "rng": rng,
        },
    }
    slots.write_analysis(adata, key, "crosstalk", record)
    if ligand_receptor:
        against = f"{MALIGNANT}_ferroptosis_defence"
        look_at_pairs(adata, sample_key, malignant=malignant, against=against, rng=rng, key=key)
    return adata if copy else None


def _refuse_few(enough: pd.Series, min_cells: int, whom: str) -> None:
    if (n := int(enough.sum())) < FEWEST:
        raise ParameterError(
            f"{n} of {len(enough)} samples have {min_cells} {whom} and {min_cells} malignant cells; an association"
            f" across samples needs at least {FEWEST}. Cells are not replicates: more cells do not help. Add samples, "
            "or lower min_cells."
        )


def run_tests(
    table: pd.DataFrame, hypotheses: Sequence[Hypothesis], covariates: Sequence[str], *, n_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return one row per hypothesis; except for q, rows are independent of each other: each starts from the seed."""
    rows, nothing = [], (math.nan, math.nan)
    for h in hypotheses:
        here = table[[h.column, h.other, *covariates]].astype(float)
        here = here[here.iloc[:, :2].notna().all(axis=1)]
        x, y = here.iloc[:, 0].to_numpy(), here.iloc[:, 1].to_numpy()
        rho, p = _rho_and_p(here, [], seed)
        known = math.isfinite(rho)
        low, high = _correlation.bootstrap_interval(x, y, n_bootstrap=n_bootstrap, rng=seed) if known else nothing
        loo_low, loo_high = _correlation.leave_one_out(x, y) if known else nothing
        row: dict[str, Any] = {"measure": h.measure, "tam": h.tam, "malignant": h.malignant, "expected": h.expected}
        row |= {"rho": rho, "p": p, "low": low, "high": high, "loo_low": loo_low, "loo_high": loo_high}
        rows.append(row | _adjusted(here, covariates, n_bootstrap, seed) | {"n_samples": len(x)})
    tests = pd.DataFrame(rows, index=pd.Index([h.name for h in hypotheses], name="test"))
    # Whether any of this many tests could reach a q below 0.05 with these samples.
    enough = supports_q(int(tests["n_samples"].min()), len(tests))
    for q, of in (("q", "p"), ("q_adjusted", "p_adjusted")):
        tests[q] = benjamini_hochberg(tests[of].to_numpy(float)) if enough else np.nan
    return tests


def _adjusted(here: pd.DataFrame, covariates: Sequence[str], n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Return ρ given each covariate, and given all; where few samples allow one at a time, given the worst."""
    alone = {c: _rho_and_p(here, [c], seed) for c in covariates}
    chosen = [c for c, (rho, _) in alone.items() if math.isfinite(rho) and here[c].nunique() > 1]
    if len(_complete(here, chosen)) - 2 - len(chosen) < _FREE:
        chosen = sorted(chosen, key=lambda c: abs(alone[c][0]))[:1]
    rho = p = low = high = math.nan
    if chosen:
        rho, p = alone[chosen[0]] if len(chosen) == 1 else _rho_and_p(here, chosen, seed)
        values = _complete(here, chosen)
        x, y = values[:, 0], values[:, 1]
        low, high = _correlation.bootstrap_interval(x, y, values[:, 2:], n_bootstrap=n_bootstrap, rng=seed)
    row = {"rho_adjusted": rho, "p_adjusted": p, "low_adjusted": low, "high_adjusted": high}
    each = {f"rho_given_{c}": one for c, (one, _) in alone.items()}
    return row | {"adjusted_for": "+".join(chosen)} | each | {f"p_given_{c}": one for c, (_, one) in alone.items()}


def _rho_and_p(here: pd.DataFrame, covariates: Sequence[str], seed: int) -> tuple[float, float]:
    values = _complete(here, covariates)
    if len(values) < FEWEST:
        return math.nan, math.nan
    found = _correlation.spearman(values[:, 0], values[:, 1], values[:, 2:], rng=seed)
    return found.rho, found.p


def _complete(here: pd.DataFrame, covariates: Sequence[str]) -> Array:
    """Return both sides and some covariates of the samples that have a value of each."""
    return here[[*here.columns[:2], *covariates]].dropna().to_numpy()


def _cautions_on_tests(tests: pd.DataFrame, table: pd.DataFrame, covariates: Sequence[str]) -> Iterator[str]:
    """Yield the cautions for readers of the tests."""
    n, m = int(tests["n_samples"].min()), len(tests)
    limit = f"{n} samples no two-sided p can be below {_correlation.smallest_p(n):.2g}"
    yield (
        f"Associations across {n} samples do not show which side acts on the other, or that either does. Shared "
        "properties of samples (site, treatment, purity, handling) can affect both."
    )
    if n < _FEW_SAMPLES:
        yield f"With {limit}, and bootstrap intervals are too narrow."
    if not supports_q(n, m):
        yield (
            f"No q: with {limit}, so none of {m} tests could reach a q below 0.05; that takes "
            f"{next(k for k in count(2) if supports_q(k, m))} samples. Test fewer hypotheses."
        )
    if not covariates:
        yield "No covariates were adjusted for: ambient RNA, hypoxia or depth alone can produce an association."
    if idle := [c for c in covariates if table[c].dropna().nunique() < 2]:
        yield f"Not adjusted for, because they are the same in all samples: {', '.join(idle)}."
    if gaps := [c for c in covariates if table[c].isna().any() and c not in idle]:
        yield f"Samples without a value are left out of the adjusted tests: {', '.join(gaps)}."
    if len(covariates) > 1 and not tests["adjusted_for"].str.contains("+", regex=False).all():
        yield (
            "Too few samples to adjust for all covariates at once: each is adjusted for on its own, rho_adjusted is "
            "the weakest result, and adjusted_for names its covariate."
        )
    gone = (tests["rho"].abs() >= 0.3) & ~(tests["rho_adjusted"] * np.sign(tests["rho"]) >= tests["rho"].abs() / 2)
    gone &= tests["rho_adjusted"].notna()
    if gone.any():
        yield f"Less than half of the association remains after adjustment: {some_of(tests.index[gone])}."
    fragile = tests.index[np.sign(tests["loo_low"]) * np.sign(tests["loo_high"]) < 0]
    if len(fragile):
        yield f"The sign changes when a single sample is left out: {some_of(fragile)}."


def _cautions_on_shares(
    adata: AnnData, table: pd.DataFrame, asked: Sequence[Hypothesis], shares: Shares, key: str
) -> Iterator[str]:
    if not any(h.measure == "share" for h in asked):
        return
    without = table[_NO_STATE]
    if shares == "called" and without.max() - without.min() > _UNEVEN:
        yield (
            f"{without.min():.0%} to {without.max():.0%} of the macrophages of a sample have no state: shares of labels"
            " depend on that, and so on depth."
        )
    if shares == "expected" and "state" not in slots.read_record(adata, key).calibration_source:
        yield "The probabilities of states are not calibrated here: use expected shares to rank samples only."
