"""``tl.score``: scores any signatures on any AnnData by any method."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot import scoring
from tamannot._progress import Progress, Tick
from tamannot._settings import SpeciesChoice, UseRaw, settings, takes_scanpy_words
from tamannot.data import Unpacked
from tamannot.data._runs import describe_run, missing_genes
from tamannot.errors import CoverageWarning, Notes, ParameterError, TamannotWarning, logger, some_of, tell
from tamannot.scoring import Method
from tamannot.scoring._expression import expression
from tamannot.scoring._njit import Array
from tamannot.signature import Signatures, SignatureSet, chosen_signatures

# Methods on values are asked for on logarithms: that is what their papers and scanpy score.
_LOG_FIRST: tuple[slots.Kind, ...] = ("log", "counts", "linear")
_OF_RANKS = ("variant", "max_rank", "top")  # settings of a method that determine the rank of a gene, and so its bin
MANY_CELLS = 2000
_CELLS_AT_ONCE = 500  # ssGSEA scores each cell on its own, so a dense table of a few cells is enough


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

    A score measures how high the genes of a signature rank within a cell. It is not a label. Scores of different
    signatures are not comparable; z compares each with random genes of equal expression.

    Parameters
    ----------
    adata
        Cells by genes: counts or log-normalised values, non-negative for rank-based methods. Any container
        that AnnData supports; a dask array is processed by the active dask scheduler.
    signatures
        One or more signatures, as returned by `load_signatures` and `read_signatures`; lists of genes:
        ``{"my_set": ["CD68", "SPP1", "CD3E-"]}``, or a single list, scored as ``genes``; or names: an axis of the
        library (``"state"``), an id (``"m1"``), a file, or a list of these.
    method
        ``"ucell"``, ``"ucell_legacy"``, ``"aucell"``, ``"aucell_pyscenic"``, ``"module"``, ``"mean"``,
        ``"ssgsea"``, ``"gsva"``, or a settings object such as ``UCell(max_rank=500)``. Several at once as
        ``{key: method}``: each writes under its own key, and rank-based methods share one ranking of each cell.
    null
        ``"matched"`` also writes z and p against random signatures of equal expression in the same
        cell, for rank-based methods. The p values are one-sided (upper) and competitive: they are small if the genes
        rank above matched genes. They ignore the correlation between genes, so use them to rank cells, not
        to test differences between samples.
    null_reference
        An object scored earlier with ``null="matched"`` by the same method. Its expression bins are used, so
        a cell gets the z that it would have there. None computes the bins from the present cells.
    layer
        ``"X"``, ``"raw"`` or a layer; None uses the usable matrix with most genes of the signatures, and
        prefers counts for rank-based methods and log values for the others.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None detects it.
    species
        Species of the data; ``"auto"`` detects it from the gene ids.
    min_coverage
        Minimum share of the genes, 0 to 1: a signature with a smaller share is not scored and its column is NaN. 0
        scores all; a signature without any gene in the data gets 0. A `CoverageWarning` names the missing genes
        if they are more than a fifth, with suggestions for misspelled names.
    key_added
        Prefix of the results; not used with several methods, which have their own keys.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are ``obsm["{key}_scores"]`` (cells × signatures, float32; in [0, 1] for rank-based
    methods, for others see the settings object), with a null ``obsm["{key}_z"]`` and ``obsm["{key}_p"]``,
    and ``uns["tamannot"]["{key}"]``. They replace earlier scores under the key. An annotation under the same key is
    kept: these columns are added to its tables or replaced, except the z and p that its labels were called from.

    Raises
    ------
    TamannotError
        There is no usable matrix or no known gene, the species differs, a parameter is out of range, the method
        cannot score a signature (too many genes, or weights that it cannot use), or the null would replace the z and p
        behind the labels of an annotation under the same key.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.score(adata, "origin", min_coverage=0)
    >>> tam.get.scores(adata).columns.tolist()
    ['border_associated', 'microglia', 'monocyte_derived']
    """
    adata = slots.to_work_on(adata, copy=copy)
    species_seen = partial(slots.species_of, adata, gene_symbols=gene_symbols, species=species, layer=layer)
    chosen = chosen_signatures(signatures, species_seen)
    methods = method if isinstance(method, Mapping) else {key_added: method}
    if not methods:
        raise ParameterError("method is empty. Give one method, or {key: method}.")
    asked = ScoreSettings(
        signatures=chosen,
        methods={slots.check_key(key): scoring.method_of(m) for key, m in methods.items()},
        null=null,
        null_reference=null_reference,
        layer=layer,
        gene_symbols=gene_symbols,
        species=species,
        min_coverage=min_coverage,
    )
    with closing(Progress(show=settings.progress)) as progress:
        notes, summary, _ = score_all(adata, asked, progress)
    tell(notes)
    logger.info(summary)
    return adata if copy else None


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """The arguments of a call; see `score`."""

    signatures: SignatureSet
    methods: Mapping[str, Method]
    null: str | None = None
    null_reference: AnnData | None = None
    layer: str | None = None
    gene_symbols: str | None = None
    species: SpeciesChoice = "auto"
    min_coverage: float = 0.5

    def __post_init__(self) -> None:
        """Raise if the arguments do not fit together."""
        if not 0 <= self.min_coverage <= 1:
            raise ParameterError(f"min_coverage must be between 0 and 1, not {self.min_coverage}.")
        if self.null not in (None, "matched"):
            raise ParameterError(f"null must be None or 'matched', not {self.null!r}.")
        if self.null_reference is not None and self.null is None:
            raise ParameterError("null_reference needs null='matched'. Add it, or leave out null_reference.")
        without = [m.name for m in self.methods.values() if not isinstance(m, scoring.RankMethod)]
        if self.null is not None and without:
            names = ", ".join(without)
            raise ParameterError(
                f"null='matched' works with rank-based methods (ucell, aucell) only, not with {names}. Leave it out."
            )


def score_all(adata: AnnData, asked: ScoreSettings, progress: Progress) -> tuple[Notes, str, dict[str, Any]]:
    """Score by every method, then write all results, or none after an error; return notes, a summary and records."""
    for key in asked.methods if asked.null is not None else ():
        if shared := [i for i in slots.evidence_of(adata, key) if i in asked.signatures]:
            raise ParameterError(
                f"The labels under the key '{key}' were called from the z and p of {some_of(shared, 3)}, which this "
                'would replace. Use another key for these scores, such as key_added="null".'
            )
    # Methods on ranks are computed together, each of the others alone.
    ranked: dict[str, Method] = {key: m for key, m in asked.methods.items() if isinstance(m, scoring.RankMethod)}
    groups = [ranked] if ranked else []
    groups += [{key: m} for key, m in asked.methods.items() if key not in ranked]
    found = [(methods, *_score_group(adata, methods, asked, progress)) for methods in groups]
    said, done, records = Notes(), dict[str, str](), dict[str, Any]()
    for methods, data, plan, bins, results in found:
        low = [o for o, c in enumerate(plan.coverage) if c.share < asked.min_coverage]
        names, missing = [plan.ids[o] for o in low], missing_genes(plan, data.index)
        for (key, how), result in zip(methods.items(), results, strict=True):
            tables = {"score": result.score}
            if isinstance(result, scoring.NullScores):
                tables |= {"z": result.z, "p": result.p}
            for table in tables.values():
                table[:, low] = np.nan
            record = records[key] = describe_run(data, plan, how, bins[key])
            record["warnings"] = np.array([f"low coverage: {name}" for name in names], dtype=object)
            if slots.is_annotated(adata, key):
                slots.add_scores(adata, key, result.ids, tables, record)
            else:
                slots.forget_run(adata, key)
                slots.write_tables(adata, key, result.ids, tables)
                slots.write_record(adata, key, record)
            n = len(plan.ids) - len(low)
            done[key] = f"{n} signature{'s' * (n != 1)} by {how.name} in obsm['{slots.slot(key, 'scores')}']"
        said |= data.notes
        if low:
            few = f"Not scored, because fewer than {asked.min_coverage:.0%} of their genes are in the data"
            missing = f"{few}: {', '.join(names)}. {missing}".strip()
        if missing:
            said[missing] = CoverageWarning
    return said, f"Scored {adata.n_obs:,} cells: {', '.join(done[key] for key in asked.methods)}.", records


def _score_group(
    adata: AnnData, methods: Mapping[str, Method], asked: ScoreSettings, progress: Progress
) -> tuple[Unpacked, scoring.Plan, Mapping[str, Array | None], Sequence[scoring.Scores]]:
    """Score by the methods of a group, which share a matrix; return it, the plan, and by method bins and scores."""
    progress("reading")
    ranking = {key: m for key, m in methods.items() if isinstance(m, scoring.RankMethod)}
    first = next(iter(methods.values()))  # of methods that are not on ranks the only one
    kinds = slots.KINDS if ranking else _LOG_FIRST
    if getattr(first, "scale", "log") == "as_is":
        kinds = (*kinds, "signed")
    where: dict[str, Any] = {"layer": asked.layer, "gene_symbols": asked.gene_symbols, "species": asked.species}
    data = slots.unpack(adata, asked.signatures, kinds=kinds, **where)
    rows, threads, tick = data.rows, settings.n_threads(), progress.tick
    plan = scoring.make_plan(asked.signatures, data.index.locate, rows.shape[1])
    for how in methods.values():
        for part in plan.parts:
            how.check(part, plan.n_vars)
    ranked, bins = None, dict[str, Array | None].fromkeys(methods)
    if asked.null is not None:
        ranked = scoring.RankedRows(rows, list(ranking.values()), keep=True)
        if asked.null_reference is None:
            progress("expression bins", rows.shape[0])
            depths = scoring.depths_by_method(rows, list(ranking.values()), threads=threads, tick=tick, ranked=ranked)
            bins |= dict(zip(ranking, map(scoring.null_bins, depths), strict=True))
        else:
            bins |= {k: _bins_of_reference(asked.null_reference, k, data.index.ids, m) for k, m in ranking.items()}
    progress("scoring", rows.shape[0] * (2 if getattr(first, "looks_at_cells", False) else 1))
    if isinstance(first, scoring.RankMethod):
        runs = [scoring.Run(how, bins[key]) for key, how in ranking.items()]
        results = scoring.score_runs(rows, plan, runs, threads=threads, tick=tick, ranked=ranked)
    elif isinstance(first, scoring.GseapyMethod):
        results = [score_with_gseapy(data, plan, first, threads=threads, tick=tick)]
    else:
        results = [scoring.score_linear(rows, plan, first, kind=data.kind, threads=threads, tick=tick)]
    return data, plan, bins, results


def _bins_of_reference(reference: AnnData, key: str, ids: list[str], method: scoring.RankMethod) -> Array:
    record = slots.read_record(reference, key)
    if not record.has("null_reference"):
        raise ParameterError(
            f"null_reference has scores under '{key}', but no z or p. Score it with null='matched' first."
        )
    # Of `tl.annotate` more ranks may count in the null than in the scores.
    their_ranks = {} if record.null.max_rank is None else {"max_rank": record.null.max_rank}
    of_both = ({"name": method.name, **vars(method)}, record.method | their_ranks)
    ours, theirs = (
        f"{m['name']}({', '.join(f'{name}={m[name]}' for name in _OF_RANKS if name in m)})" for m in of_both
    )
    if ours != theirs:
        raise ParameterError(f"null_reference was scored with {theirs}, not {ours}. Use the same method for both.")
    bins = pd.Series(record.bins, index=record.gene_ids.astype(str))
    bins = bins[~bins.index.duplicated()].reindex(ids)
    if bins.isna().mean() > 0.5:
        raise ParameterError(
            "null_reference has fewer than half of the genes of the data. Use a reference with the same gene ids."
        )
    # A gene that the reference lacks counts as hardly expressed.
    return bins.fillna(record.bins.max()).to_numpy(np.int32)


def score_with_gseapy(
    data: Unpacked, plan: scoring.Plan, method: scoring.GseapyMethod, *, threads: int, tick: Tick
) -> scoring.Scores:
    """Score every cell for every output of a plan by ssGSEA or GSVA, which are meant for pseudobulk."""
    n_obs = data.rows.shape[0]
    if n_obs > MANY_CELLS:
        msg = (
            f"{method.name} is meant for pseudobulk; {n_obs:,} cells will take long, and its score follows the "
            "number of detected genes. Sum the counts of each sample and label first, or use ucell."
        )
        tell({msg: TamannotWarning})
    sets = {
        f"{p}{side}": [f"g{c}" for c in arm.columns]
        for p, part in enumerate(plan.parts)
        for side, arm in (("u", part.up), ("d", part.down))
        if arm.columns.size
    }
    at_once = _CELLS_AT_ONCE if isinstance(method, scoring.SSGSEA) else max(n_obs, 1)
    parts = np.zeros((n_obs, len(plan.parts)), np.float32)
    for start in range(0, n_obs if sets else 0, at_once):
        import gseapy  # noqa: PLC0415 - slow to import, rarely used

        stop = min(start + at_once, n_obs)
        table = pd.DataFrame(expression(data.rows, method.scale, data.kind, start, stop).T)
        table.index = [f"g{i}" for i in table.index]
        table.columns = [f"c{i}" for i in table.columns]
        how: dict[str, Any] = {"outdir": None, "min_size": 1, "max_size": len(table), "threads": threads}
        score = gseapy.gsva if isinstance(method, scoring.GSVA) else gseapy.ssgsea
        found = score(data=table, gene_sets=sets, verbose=False, **how, **method.options)
        wide = found.res2d.pivot_table(index="Name", columns="Term", values="ES", aggfunc="first").astype(float)
        wide = wide.reindex(index=table.columns)
        zero = pd.Series(0.0, index=wide.index)
        for p in range(len(plan.parts)):  # down genes are subtracted
            parts[start:stop, p] = (wide.get(f"{p}u", zero) - wide.get(f"{p}d", zero)).fillna(0.0)
        tick(stop - start)
    out = np.stack([parts[:, list(members)].max(axis=1) for members in plan.parts_of], axis=1)
    return scoring.Scores(tuple(plan.ids), np.ascontiguousarray(out))
