"""``tl.score``: any signatures on any AnnData, by any method."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import SpeciesChoice, UseRaw, settings, takes_scanpy_words
from tamannot.data import Unpacked
from tamannot.data._runs import describe_run, missing_genes
from tamannot.errors import CoverageWarning, ParameterError, TamannotWarning
from tamannot.scoring import (
    GseapyMethod,
    Method,
    NullBins,
    NullScores,
    Plan,
    RankedRows,
    RankMethod,
    Run,
    Scores,
    depths_by_method,
    make_plan,
    method_of,
    null_bins,
    ranked_rows,
    score_linear,
    score_runs,
)
from tamannot.signature import Signatures, SignatureSet, chosen_signatures
from tamannot.tl._gseapy import score_with_gseapy

# Methods on values are asked for on logarithms: that is what their papers and scanpy score.
_LOG_FIRST: tuple[slots.Kind, ...] = ("log", "counts", "linear")


@takes_scanpy_words(UseRaw)
def score(
    adata: AnnData,
    signatures: Signatures | str | os.PathLike[str],
    *,
    method: Method | str | Mapping[str, Method | str] = "ucell",
    null: Literal["matched"] | None = None,
    null_reference: AnnData | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    min_coverage: float = 0.5,
    key_added: str = "tam",
    copy: bool = False,
    **_words: Unpack[UseRaw],
) -> AnnData | None:
    """Score signatures in every cell.

    A score says how high a signature's genes stand among the genes of a cell. It is no label, and scores
    of different signatures cannot be compared with one another; their z can.

    Parameters
    ----------
    adata
        Cells by genes: counts or log-normalised values, non-negative for methods on ranks. Any container
        that AnnData holds; a dask array is worked on by the dask scheduler that is active.
    signatures
        One signature or several, as `load_signatures` and `read_signatures` give them; lists of genes:
        ``{"my_set": ["CD68", "SPP1", "CD3E-"]}``, or one list alone, scored as ``genes``; or a name: an axis of the
        library (``"state"``), an id (``"m1"``), a file, or a list of these.
    method
        ``"ucell"``, ``"ucell_legacy"``, ``"aucell"``, ``"aucell_pyscenic"``, ``"module"``, ``"mean"``,
        ``"ssgsea"``, ``"gsva"``, or a settings object such as ``UCell(max_rank=500)``. Several at once as
        ``{key: method}``: each writes under its own key, and those on ranks share one ranking of each cell.
    null
        ``"matched"`` also writes z and p against random signatures of the same expression in the same
        cell, for methods on ranks. The p are one-sided (upper) and competitive: small where the genes stand
        above matched genes. Correlation between genes is not in them, so they are for ranking cells, not
        for tests between samples.
    null_reference
        An object scored earlier with ``null="matched"`` by the same method: its expression bins are used, so
        that a cell has the z that it would have there. None takes the bins from the cells at hand.
    layer
        ``"X"``, ``"raw"`` or a layer; None takes the usable matrix with most genes of the signatures, of
        equals counts for methods on ranks and logarithms for the others.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None looks for it.
    species
        Species of the data; ``"auto"`` recognises it from the ids.
    min_coverage
        Share of genes, 0 to 1, below which a signature is not scored: its column is NaN. 0 scores
        whatever is there; a signature without any gene in the data gets 0. A `CoverageWarning` names the genes
        that are missing where their share is above a fifth, with what may be meant.
    key_added
        Prefix of what is written; not used with several methods, which bring their own.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. Written are ``obsm["{key}_scores"]`` (cells × signatures, float32; in [0, 1] for methods
    on ranks, for others see the settings object), with a null ``obsm["{key}_z"]`` and ``obsm["{key}_p"]``,
    and ``uns["tamannot"]["{key}"]``. They replace earlier scores under the key. Where the key holds an annotation,
    that stays, and its tables gain these columns, or have them replaced; z and p that its labels rest on are never
    replaced.

    Raises
    ------
    TamannotError
        No usable matrix, no known gene, another species, a parameter out of range, a signature that the
        method cannot score (too many genes; weights where there is no place for them), or a null for signatures
        whose z and p an annotation under the same key rests on.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.score(adata, "origin", min_coverage=0)
    >>> tam.get.scores(adata).columns.tolist()
    ['border_associated', 'microglia', 'monocyte_derived']
    """
    adata = slots.to_work_on(adata, copy=copy)

    def species_seen() -> str:
        return slots.species_of(adata, gene_symbols=gene_symbols, species=species, layer=layer)

    asked = ScoreSettings(
        signatures=chosen_signatures(signatures, species_seen),
        methods=_methods(method, key_added),
        null=null,
        null_reference=null_reference,
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        min_coverage=min_coverage,
    )
    with closing(Progress(show=settings.progress)) as progress:
        score_all(adata, asked, progress)
    return adata if copy else None


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """What a call asks for; see `score`."""

    signatures: SignatureSet
    methods: Mapping[str, Method]
    null: str | None = None
    null_reference: AnnData | None = None
    layer: str | None = None
    gene_symbols: str | None = None
    species: SpeciesChoice = "auto"
    min_coverage: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if not 0 <= self.min_coverage <= 1:
            msg = f"min_coverage is a share between 0 and 1, not {self.min_coverage}."
            raise ParameterError(msg)
        if self.null not in (None, "matched"):
            msg = f"null is None or 'matched', not {self.null!r}."
            raise ParameterError(msg)
        if self.null_reference is not None and self.null is None:
            msg = "null_reference is for null='matched'; without a null it would be ignored."
            raise ParameterError(msg)
        without = [m.name for m in self.methods.values() if not isinstance(m, RankMethod)]
        if self.null is not None and without:
            names = ", ".join(without)
            msg = f"The matched null is for methods on ranks (ucell, aucell), not for {names}: leave it out."
            raise ParameterError(msg)


@dataclass(frozen=True)
class _GroupScores:
    """What a group of methods found, before anything is written."""

    data: Unpacked
    plan: Plan
    bins: Mapping[str, NullBins | None]
    results: Mapping[str, Scores]


def score_all(adata: AnnData, asked: ScoreSettings, progress: Progress) -> None:
    """Score by every method, then write: of several either all are there or, after an error, none."""
    _refuse_other_evidence(adata, asked)
    groups = []
    for methods in _groups(asked.methods):
        groups.append((methods, _score_group(adata, methods, asked, progress)))  # noqa: PERF401 - a frame less in warnings
    said: dict[str, type[TamannotWarning]] = {}
    for methods, found in groups:
        low = _blank_low_coverage(found, asked.min_coverage)
        missing = missing_genes(found.plan, found.data.index)
        for key, how in methods.items():
            record = describe_run(found.data, found.plan, how, found.bins[key])
            _write(adata, key, found.results[key], record, low)
        if found.data.note:
            said[found.data.note] = TamannotWarning
        if low:
            few = f"Fewer than {asked.min_coverage:.0%} of the genes are in the data; not scored: {', '.join(low)}."
            missing = f"{few} {missing}".strip()
        if missing:
            said[missing] = CoverageWarning
    for line, kind in said.items():
        warnings.warn(line, kind, stacklevel=4)


def _groups(methods: Mapping[str, Method]) -> list[dict[str, Method]]:
    """Return the methods that are computed together: all on ranks, and each of the others alone."""
    ranked = _on_ranks(methods)
    others = [{key: m} for key, m in methods.items() if key not in ranked]
    return [dict(ranked), *others] if ranked else others


def _on_ranks(methods: Mapping[str, Method]) -> dict[str, RankMethod]:
    return {key: m for key, m in methods.items() if isinstance(m, RankMethod)}


def _score_group(
    adata: AnnData, methods: Mapping[str, Method], asked: ScoreSettings, progress: Progress
) -> _GroupScores:
    """Score by methods that share a matrix."""
    progress("reading")
    kinds = slots.KINDS if all(isinstance(m, RankMethod) for m in methods.values()) else _LOG_FIRST
    if any(getattr(m, "scale", "log") == "as_is" for m in methods.values()):
        kinds = (*kinds, "signed")
    where: dict[str, Any] = {"layer": asked.layer, "gene_symbols": asked.gene_symbols, "species": asked.species}
    data = slots.unpack(adata, asked.signatures, kinds=kinds, **where)
    plan = make_plan(asked.signatures, data.index.locate, data.rows.shape[1])
    for how in methods.values():
        for part in plan.parts:
            how.check(part, plan.n_vars)
    if asked.null is None:
        ranked, bins = None, dict[str, NullBins | None].fromkeys(methods)
    else:
        ranking = _on_ranks(methods)
        ranked = ranked_rows(data.rows, list(ranking.values()))
        bins = bins_of(data, ranking, asked.null_reference, ranked, progress)
    return _GroupScores(data, plan, bins, _scores(data, plan, methods, bins, ranked, progress))


def _methods(method: Method | str | Mapping[str, Method | str], key_added: str) -> dict[str, Method]:
    named = method if isinstance(method, Mapping) else {key_added: method}
    if not named:
        msg = "method names no method: give one, or {key: method}."
        raise ParameterError(msg)
    return {slots.check_key(key): method_of(m) for key, m in named.items()}


def _scores(
    data: Unpacked,
    plan: Plan,
    methods: Mapping[str, Method],
    bins: Mapping[str, NullBins | None],
    ranked: RankedRows | None,
    progress: Progress,
) -> dict[str, Scores]:
    threads = settings.n_threads()
    looks_twice = any(getattr(m, "looks_at_cells", False) for m in methods.values())
    progress("scoring", data.rows.shape[0] * (2 if looks_twice else 1))
    results: dict[str, Scores] = {}
    runs: dict[str, Run] = {}
    for key, how in methods.items():
        if isinstance(how, RankMethod):
            runs[key] = Run(how, bins[key])
        elif isinstance(how, GseapyMethod):
            results[key] = score_with_gseapy(data, plan, how, threads=threads, tick=progress.tick)
        else:
            results[key] = score_linear(data.rows, plan, how, kind=data.kind, threads=threads, tick=progress.tick)
    if runs:
        found = score_runs(data.rows, plan, list(runs.values()), threads=threads, tick=progress.tick, ranked=ranked)
        results |= dict(zip(runs, found, strict=True))
    return results


def _blank_low_coverage(found: _GroupScores, min_coverage: float) -> list[str]:
    """Put NaN where too few genes of a signature are in the data; return the signatures."""
    low = [o for o, c in enumerate(found.plan.coverage) if c.share < min_coverage]
    for result in found.results.values():
        for table in (result.score, result.z, result.p) if isinstance(result, NullScores) else (result.score,):
            table[:, low] = np.nan
    return [found.plan.ids[o] for o in low]


def _write(adata: AnnData, key: str, result: Scores, record: dict[str, Any], low: list[str]) -> None:
    z, p = (result.z, result.p) if isinstance(result, NullScores) else (None, None)
    tables = {"score": result.score, "z": z, "p": p}
    record["warnings"] = np.array([f"low coverage: {name}" for name in low], dtype=object)
    if slots.is_annotated(adata, key):
        slots.add_scores(adata, key, result.ids, tables, record)
    else:
        slots.forget_run(adata, key)
        slots.write_tables(adata, key, result.ids, tables)
        slots.write_record(adata, key, record)


def _refuse_other_evidence(adata: AnnData, asked: ScoreSettings) -> None:
    """Refuse z and p beside an annotation whose labels rest on others of the same signatures."""
    for key in asked.methods if asked.null is not None else ():
        if shared := [i for i in slots.evidence_of(adata, key) if i in asked.signatures]:
            more = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
            msg = (
                f"The labels under the key '{key}' rest on the z and p of {', '.join(shared[:3])}{more}, which this "
                'would replace. Give these scores a key of their own, such as key_added="null".'
            )
            raise ParameterError(msg)


def bins_of(
    data: Unpacked,
    methods: Mapping[str, RankMethod],
    reference: AnnData | None,
    ranked: RankedRows,
    progress: Progress,
) -> dict[str, NullBins | None]:
    """Return the expression bins of each method: those of a reference, or of the cells at hand."""
    if reference is not None:
        return {key: _bins_of_reference(reference, key, data.index.ids, how) for key, how in methods.items()}
    progress("expression bins", data.rows.shape[0])
    found = depths_by_method(
        data.rows, list(methods.values()), threads=settings.n_threads(), tick=progress.tick, ranked=ranked
    )
    return {key: null_bins(depth) for key, depth in zip(methods, found, strict=True)}


def _bins_of_reference(reference: AnnData, key: str, ids: list[str], method: RankMethod) -> NullBins:
    record = slots.read_record(reference, key)
    if not record.has("null_reference"):
        msg = f"null_reference has scores under '{key}', but without a null. Score it with null='matched' first."
        raise ParameterError(msg)
    # Of `tl.annotate` more ranks may count in the null than in the scores.
    their_ranks = {} if record.null.max_rank is None else {"max_rank": record.null.max_rank}
    of_both = ({"name": method.name, **asdict(method)}, record.method | their_ranks)
    ours, theirs = map(_depth_settings, of_both)
    if ours != theirs:
        msg = f"null_reference was scored with {theirs}, not {ours}. Use that method, or score it by yours."
        raise ParameterError(msg)
    bins = pd.Series(record.bins, index=record.gene_ids.astype(str))
    bins = bins[~bins.index.duplicated()].reindex(ids)
    if bins.isna().mean() > 0.5:
        msg = "null_reference shares fewer than half of the genes of the data. Use cells with the same gene ids."
        raise ParameterError(msg)
    # A gene the reference never saw is taken as one that it hardly expresses.
    return NullBins(bins.fillna(record.bins.max()).to_numpy(np.int32))


def _depth_settings(method: Mapping[str, Any]) -> str:
    """Say what of a method decides how deep a gene ranks, and thus its bin."""
    told = {name: method[name] for name in ("variant", "max_rank", "top") if name in method}
    return f"{method['name']}({', '.join(f'{name}={value}' for name, value in told.items())})"
