"""``tl.score``: any signatures on any AnnData."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import SpeciesChoice, Unpacked
from tamannot._provenance import coverage_table, describe_run
from tamannot._settings import settings
from tamannot.errors import CoverageWarning, ParameterError, TamannotWarning
from tamannot.scorers import (
    NullBins,
    NullScores,
    Plan,
    Scores,
    UCell,
    gene_depths,
    make_plan,
    method_of,
    null_bins,
    score_rows,
)
from tamannot.signature import Signature, SignatureSet

Method = UCell | str


def score(
    adata: AnnData,
    signatures: Mapping[str, Signature] | Signature,
    *,
    method: Method = "ucell",
    null: Literal["matched"] | None = None,
    null_reference: AnnData | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    min_coverage: float = 0.5,
    key_added: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Score signatures in every cell.

    A score says how high a signature's genes stand among the genes of a cell. It is no label, and scores
    of different signatures cannot be compared with one another; their z can.

    Parameters
    ----------
    adata
        Cells by genes, non-negative: counts or log-normalised values. Any container that AnnData holds.
    signatures
        One signature or several; see `load_signatures` and `read_signatures`.
    method
        ``"ucell"`` or a settings object such as ``UCell(max_rank=500)``.
    null
        ``"matched"`` also writes z and p against random signatures of the same expression in the same
        cell. The p are one-sided (upper) and competitive: small where the genes stand above matched
        genes. Correlation between genes is not in them, so they are for ranking cells, not for tests
        between samples.
    null_reference
        An object scored earlier with ``null="matched"``: its expression bins are used, so that a cell
        has the z that it would have there. None takes the bins from the cells at hand.
    layer
        ``"X"``, ``"raw"`` or a layer; None takes the usable matrix with most genes of the signatures.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None looks for it.
    species
        Species of the data; ``"auto"`` recognises it from the ids.
    min_coverage
        Share of genes, 0 to 1, below which a signature is not scored: its column is NaN. 0 scores
        whatever is there; a signature without any gene in the data gets 0.
    key_added
        Prefix of what is written.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. Written are ``obsm["{key}_scores"]`` (cells × signatures, float32 in [0, 1]), with a
    null ``obsm["{key}_z"]`` and ``obsm["{key}_p"]``, and ``uns["tamannot"]["{key}"]``.

    Raises
    ------
    TamannotError
        No usable matrix, no known gene, another species, or a parameter out of range.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.score(adata, tam.load_signatures(axis="origin"), min_coverage=0)
    >>> tam.get.scores(adata).columns.tolist()
    ['border_associated', 'microglia', 'monocyte_derived']
    """
    adata = adata.copy() if copy else adata
    slots.check_key(key_added)
    chosen = SignatureSet([signatures]) if isinstance(signatures, Signature) else SignatureSet(signatures.values())
    how = method_of(method)
    _check(min_coverage, null, null_reference)
    data = slots.unpack(adata, chosen, layer=layer, gene_symbols=gene_symbols, species=species)
    plan = make_plan(chosen, data.index.locate, data.rows.shape[1])
    bins = _bins(data, how, null, null_reference, key_added)
    for part in plan.parts:
        how.check(part, plan.n_vars)
    result = score_rows(data.rows, plan, how, null=bins, threads=settings.n_threads())
    low = _blank_low_coverage(result, plan, min_coverage)
    z, p = (result.z, result.p) if isinstance(result, NullScores) else (None, None)
    slots.write_tables(adata, key_added, result.ids, {"score": result.score, "z": z, "p": p})
    record = describe_run(data, plan, how, bins)
    record["warnings"] = np.array([f"low coverage: {name}" for name in low], dtype=object)
    slots.write_provenance(adata, key_added, record)
    _say(data, low, min_coverage)
    return adata if copy else None


def _check(min_coverage: float, null: str | None, null_reference: AnnData | None) -> None:
    if not 0 <= min_coverage <= 1:
        msg = f"min_coverage is a share between 0 and 1, not {min_coverage}."
        raise ParameterError(msg)
    if null not in (None, "matched"):
        msg = f"null is None or 'matched', not {null!r}."
        raise ParameterError(msg)
    if null_reference is not None and null is None:
        msg = "null_reference is for null='matched'; without a null it would be ignored."
        raise ParameterError(msg)


def _bins(data: Unpacked, method: UCell, null: str | None, reference: AnnData | None, key: str) -> NullBins | None:
    if null is None:
        return None
    if reference is None:
        return null_bins(gene_depths(data.rows, method, threads=settings.n_threads()))
    known: dict[str, Any] = slots.read_provenance(reference, key).get("null_reference", {})
    if not known:
        msg = f"null_reference has scores under '{key}', but without a null. Score it with null='matched' first."
        raise ParameterError(msg)
    return _aligned(known, data.index.ids)


def _aligned(known: Mapping[str, Any], ids: list[str]) -> NullBins:
    bins = pd.Series(np.asarray(known["bin"], np.int32), index=np.asarray(known["gene_ids"]).astype(str))
    bins = bins[~bins.index.duplicated()].reindex(ids)
    if bins.isna().mean() > 0.5:
        msg = "null_reference shares fewer than half of the genes of the data. Use cells with the same gene ids."
        raise ParameterError(msg)
    # A gene the reference never saw is taken as one that it hardly expresses.
    return NullBins(bins.fillna(max(known["bin"])).to_numpy(np.int32))


def _blank_low_coverage(result: Scores, plan: Plan, min_coverage: float) -> list[str]:
    coverage = coverage_table(plan)["coverage"].to_numpy()
    low = np.flatnonzero(coverage < min_coverage)
    tables = (result.score, result.z, result.p) if isinstance(result, NullScores) else (result.score,)
    for table in tables:
        table[:, low] = np.nan
    return [plan.ids[i] for i in low]


def _say(data: Unpacked, low: list[str], min_coverage: float) -> None:
    if data.note:
        warnings.warn(data.note, TamannotWarning, stacklevel=3)
    if low:
        msg = f"Fewer than {min_coverage:.0%} of the genes are in the data; not scored: {', '.join(low)}."
        warnings.warn(msg, CoverageWarning, stacklevel=3)
