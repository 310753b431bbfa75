"""``tl.enrich``: which signatures stand out in each group of cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot._adata as slots
from tamannot._adata import SpeciesChoice, Unpacked
from tamannot._settings import settings
from tamannot.errors import GeneIdError, ParameterError
from tamannot.models import NOT_MACROPHAGE, UNASSIGNED
from tamannot.signature import AXES, Signature, SignatureSet, load_signatures, read_signatures
from tamannot.tl._clusters import AXES as NAMED
from tamannot.tl._clusters import name_clusters
from tamannot.tl._prerank import COLUMNS, GeneSet, Method, Settings, gene_sets, prerank
from tamannot.tl._rankings import MIN_CELLS, Groups, Ranking, rank_genes
from tamannot.tl._samples import samples_of

Signatures = Mapping[str, Signature] | Mapping[str, Sequence[str]] | Signature | str | os.PathLike[str]

RECORD = "enrichment"
DEFAULT_AXES = ("compartment", "origin", "state", "overlay", "polarization", "published")
# With fewer samples than this the ranking rests on very little.
_FEW_SAMPLES = 4
_MANY_SHOWN = 5


def enrich(
    adata: AnnData,
    groupby: str,
    *,
    signatures: Signatures | None = None,
    sample_key: str | None = None,
    method: Method = "multilevel",
    min_size: int = 5,
    max_size: int = 500,
    n_permutations: int = 1000,
    layer: str | None = None,
    gene_symbols: str | None = None,
    species: SpeciesChoice = "auto",
    rng: int | np.random.Generator = 0,
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Find the signatures that stand out in each group of cells, by enrichment in a ranking of all genes.

    Each group is compared with all other cells that have a group. With ``sample_key`` the counts of each sample
    are added up within the group and within the rest, and genes are ranked by the moderated t of the difference in
    log2 counts per million, taken within samples. Without samples they are ranked by a t over cells. Then gseapy's
    ``prerank`` asks where the genes of each signature stand in the ranking.

    Parameters
    ----------
    adata
        An annotated object with the matrix: counts, or log-normalised values.
    groupby
        Column of ``obs``: clusters, ``"tam_state"``, ``"tam_origin"``, any other. Cells without a value and
        ``not_macrophage`` are left out; ``unassigned`` is part of the rest and has no result of its own.
    signatures
        None takes those of the axes compartment, origin, state, overlay, polarization and published. Or the name of
        an axis, signatures, a file (GMT, TOML, JSON, a table), or ``{id: [genes]}``; see `read_signatures`.
    sample_key
        Column of ``obs`` with the sample. A sample counts for a group if it has at least 10 cells in it and 10 in
        the rest. A group with fewer than two such samples is ranked by cells; ``unit`` says which.
    method
        Of gseapy: ``"multilevel"`` (fgsea's) is fast and gives small p as well; ``"permutation"`` draws
        ``n_permutations`` random sets, takes some twenty times as long, and its p may be 0.
    min_size, max_size
        Signatures with fewer or more genes in the ranking are left out.
    n_permutations
        Random sets that the score is normalised by.
    layer
        ``"X"``, ``"raw"`` or a layer; None takes the usable matrix with most genes of the signatures, of equals
        counts.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None looks for it.
    species
        Species of the data; ``"auto"`` recognises it from the ids.
    rng
        Seed or generator. The same seed gives the same result, whatever the number of threads; a number is handed
        to gseapy as it is.
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. ``uns["tamannot"]["{key}"]["enrichment"]`` has what `get.enrichment` reads: ``table``, one row
    a group and signature, and ``clusters``, one row a group with the compartment, origin and state of the greatest
    NES among those with q ≤ 0.05, beside the labels of its cells.

    Raises
    ------
    ParameterError
        No such column, fewer than two groups, or a number out of range.
    GeneIdError
        No signature has ``min_size`` genes in the ranking.
    ResultNotFoundError
        The object is not annotated or scored under ``key``.
    TamannotError
        No usable matrix, or signatures of another species.

    Notes
    -----
    What it does not mean. p and q are against random sets of genes, not random samples: they say that the genes of
    a signature stand high together, and ignore that genes go together, so they are too small. Use them to choose
    names for groups; a comparison of conditions needs samples (`tl.composition`). q is within a group. Enrichment is
    relative to the other cells in the object: among macrophages alone none is enriched for being one. Groups that
    were made of signatures, such as ``tam_state``, are enriched for them by construction. Gene sets share genes, so
    that several stand high for one reason: compare ``leading_edge``. Up genes only are used, also of signed
    signatures; of a composite those of all its modules.

    Sources: Subramanian et al. 2005, doi:10.1073/pnas.0506580102; Korotkevich et al. 2021, doi:10.1101/060012;
    gseapy, Fang et al. 2023, doi:10.1093/bioinformatics/btac757; moderated t: Smyth 2004,
    doi:10.2202/1544-6115.1027.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.tl.enrich(adata, "author_label", signatures="compartment")
    >>> names = tam.get.enrichment(adata, kind="clusters").set_index("group")
    >>> names.loc["Microglia/Macrophage", "compartment"]
    'macrophage'
    """
    how = _settings(method, min_size, max_size, n_permutations, rng)
    adata = slots.to_work_on(adata, copy=copy)
    slots.read_provenance(adata, key)
    groups = _groups(adata, groupby)
    chosen = _chosen(signatures, lambda: slots.species_of(adata, gene_symbols=gene_symbols, species=species))
    data = slots.unpack(adata, chosen, layer=layer, gene_symbols=gene_symbols, species=species)
    sets = gene_sets(chosen, data.index)
    samples = samples_of(adata, sample_key) if sample_key is not None else None
    threads = settings.n_threads()
    rankings = rank_genes(data, groups, samples, threads=threads)
    table = _table(rankings, sets, how, threads)
    calls = _calls(adata, key)
    record = {
        "table": table,
        "clusters": name_clusters(table, {s.id: s.axis for s in sets}, groups, calls),
        "signatures": _about(sets, rankings),
        "groupby": groupby,
        "sample_key": sample_key or "",
        "matrix": data.matrix,
        "method": how.method,
        "min_size": how.min_size,
        "max_size": how.max_size,
        "n_permutations": how.n_permutations,
        "seed": how.seed,
        "cautions": np.array(_cautions(data, groupby, groups, rankings, sets, key, sample_key), dtype=object),
    }
    slots.write_analysis(adata, key, RECORD, record)
    return adata if copy else None


def _settings(
    method: str, min_size: int, max_size: int, n_permutations: int, rng: int | np.random.Generator
) -> Settings:
    if method not in get_args(Method):
        msg = f"method is one of {', '.join(get_args(Method))}, not {method!r}."
        raise ParameterError(msg)
    if not 1 <= min_size <= max_size or n_permutations < 1:
        msg = (
            "min_size is at least 1 and at most max_size, and n_permutations at least 1, not "
            f"{min_size}, {max_size} and {n_permutations}."
        )
        raise ParameterError(msg)
    seed = int(rng.integers(2**31)) if isinstance(rng, np.random.Generator) else int(rng)
    return Settings(cast("Method", method), int(min_size), int(max_size), int(n_permutations), seed)


def _groups(adata: AnnData, groupby: str) -> Groups:
    column = slots.obs_column(adata, groupby)
    known = column.notna() & (column.astype(str) != NOT_MACROPHAGE)
    codes, names = pd.factorize(column.astype(str).where(known), sort=True)
    if len(names) < 2:
        msg = f"obs['{groupby}'] has {len(names)} groups of cells; enrichment compares a group with the others."
        raise ParameterError(msg)
    return Groups(tuple(map(str, names)), codes, tuple(str(n) for n in names if n != UNASSIGNED))


def _chosen(signatures: Signatures | None, species: Any) -> SignatureSet:
    if signatures is None:
        return load_signatures(DEFAULT_AXES, species=species())
    if isinstance(signatures, str) and signatures in AXES:
        return load_signatures(signatures, species=species())
    if isinstance(signatures, Signature):
        return SignatureSet([signatures])
    if isinstance(signatures, Mapping) and all(isinstance(s, Signature) for s in signatures.values()):
        return SignatureSet(cast("Mapping[str, Signature]", signatures).values())
    return read_signatures(cast("Any", signatures))


def _table(rankings: Mapping[str, Ranking], sets: Sequence[GeneSet], how: Settings, threads: int) -> pd.DataFrame:
    if not rankings:
        msg = f"No group has {MIN_CELLS} cells, and {MIN_CELLS} others beside it: there is nothing to compare."
        raise ParameterError(msg)
    parts = []
    for name, ranking in rankings.items():
        part = prerank(ranking, sets, how, threads=threads)
        part.insert(0, "group", name)
        parts.append(part.assign(unit=ranking.unit, n_samples=ranking.n_samples, n_cells=ranking.n_cells))
    table = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True)
    if table.empty:
        most = max(s.ranked_in(r) for s in sets for r in rankings.values())
        msg = (
            f"No signature has between {how.min_size} and {how.max_size} genes among those ranked (the most: {most}). "
            "Lower min_size, or use a matrix with more genes."
        )
        raise GeneIdError(msg)
    return table[["group", *COLUMNS, "unit", "n_samples", "n_cells"]]


def _about(sets: Sequence[GeneSet], rankings: Mapping[str, Ranking]) -> pd.DataFrame:
    first = next(iter(rankings.values()))
    return pd.DataFrame(
        {
            "axis": [s.axis for s in sets],
            "version": [s.version for s in sets],
            "digest": [s.digest for s in sets],
            "n_genes": [s.n_genes for s in sets],
            "n_ranked": [s.ranked_in(first) for s in sets],
            "n_down": [s.n_down for s in sets],
        },
        index=pd.Index([s.id for s in sets], name="signature"),
    )


def _calls(adata: AnnData, key: str) -> dict[str, pd.Series]:
    return {a: adata.obs[slots.slot(key, a)].astype(str) for a in NAMED if slots.slot(key, a) in adata.obs}


def _cautions(
    data: Unpacked,
    groupby: str,
    groups: Groups,
    rankings: Mapping[str, Ranking],
    sets: Sequence[GeneSet],
    key: str,
    sample_key: str | None,
) -> list[str]:
    said = ["p and q are against random sets of genes, not random samples; genes go together, so they are too small."]
    if by_cells := [name for name, r in rankings.items() if r.unit == "cell"]:
        why = "no sample_key was given" if sample_key is None else "fewer than two samples have enough cells"
        said.append(f"Ranked over cells, since {why}: {_some(by_cells)}. One sample of many cells can decide alone.")
    if few := [name for name, r in rankings.items() if 0 < r.n_samples < _FEW_SAMPLES]:
        said.append(f"Fewer than {_FEW_SAMPLES} samples: {_some(few)}.")
    if absent := [name for name in groups.tested if name not in rankings]:
        said.append(f"Fewer than {MIN_CELLS} cells in the group or the rest, no result: {_some(absent)}.")
    if groupby.startswith(f"{key}_"):
        said.append(f"The groups of '{groupby}' were made of signatures: they are enriched for them by construction.")
    if signed := [s.id for s in sets if s.n_down]:
        said.append(f"Down genes are not used: {_some(signed)}.")
    if data.kind == "log" and sample_key is not None:
        said.append("There are no counts: samples were compared by the means of log-normalised values.")
    return said


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MANY_SHOWN
    return ", ".join(names[:_MANY_SHOWN]) + (f" and {more} more" if more > 0 else "")
