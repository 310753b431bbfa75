"""``tl.enrich``: which signatures stand out in each group of cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot._settings import SpeciesChoice, settings
from tamannot.classify import NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import GeneIdError, ParameterError, among
from tamannot.signature import Signatures, SignatureSet, chosen_signatures, load_signatures
from tamannot.tl._clusters import AXES as NAMED
from tamannot.tl._clusters import compared_with_macrophages, name_clusters
from tamannot.tl._enrich_notes import about_sets, cautions_of
from tamannot.tl._prerank import COLUMNS, GeneSet, Method, Settings, gene_sets, prerank
from tamannot.tl._rankings import MIN_CELLS, Groups, Ranking, rank_genes
from tamannot.tl._samples import samples_of

Array = NDArray[Any]

RECORD = "enrichment"
DEFAULT_AXES = ("compartment", "origin", "state", "overlay", "polarization", "published")


def enrich(
    adata: AnnData,
    groupby: str,
    *,
    signatures: Signatures | str | os.PathLike[str] | None = None,
    sample_key: str | None = None,
    compartment: str | None = None,
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
    compartment
        Only cells called so are compared with one another, as ``"macrophage"``; None takes all. What sets one
        macrophage apart from another is found among macrophages: beside other cells all of them stand out by
        what they have in common, such as C1Q.
    method
        Of gseapy: ``"multilevel"`` (fgsea's) is fast and gives small p as well, to 1e-10; ``"permutation"`` draws
        ``n_permutations`` random sets, takes some ten times as long, and its p may be 0.
    min_size
        Signatures with fewer genes in the ranking are left out.
    max_size
        So are those with more.
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
    NES, if its q is at most 0.05 and it holds in the samples, beside the labels of its cells. Origin and state are
    named only where macrophages were compared with macrophages.

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
    a signature stand high together, and ignore that genes go together, so they are too small: groups of cells drawn
    at random reach small q. ``p_samples``, with the sample as the unit, does not do so, and is blunt with few samples.
    Use them to choose names for groups; a comparison of conditions needs shares of samples. q is within a group.
    Enrichment is relative to the other cells in the object: among macrophages alone none is enriched for being one.
    Groups that were made of signatures, such as ``tam_state``, are enriched for them by construction. Gene sets share
    genes, so that several stand high for one reason: compare ``leading_edge``. Up genes only are used, also of signed
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
    slots.read_record(adata, key)
    calls = _calls(adata, key)
    groups = _groups(adata, groupby, _among(adata, key, compartment))
    chosen = _chosen(
        signatures, lambda: slots.species_of(adata, gene_symbols=gene_symbols, species=species, layer=layer)
    )
    data = slots.unpack(adata, chosen, layer=layer, gene_symbols=gene_symbols, species=species)
    sets = gene_sets(chosen, data.index)
    samples = samples_of(adata, sample_key) if sample_key is not None else None
    threads = settings.n_threads()
    rankings = rank_genes(data, groups, samples, threads=threads)
    table = _table(rankings, sets, how, threads)
    known = compared_with_macrophages(groups, calls)
    said = cautions_of(
        groupby=groupby,
        groups=groups,
        rankings=rankings,
        sets=sets,
        key=key,
        sampled=samples is not None,
        logged=data.kind == "log",
        compared_with_macrophages=known,
    )
    record = {
        "table": table,
        "clusters": name_clusters(table, {s.id: s.axis for s in sets}, groups, calls, with_states=known),
        "signatures": about_sets(sets, rankings),
        "groupby": groupby,
        "sample_key": sample_key or "",
        "compartment": compartment or "",
        "matrix": data.matrix,
        "method": how.method,
        "min_size": how.min_size,
        "max_size": how.max_size,
        "n_permutations": how.n_permutations,
        "seed": how.seed,
        "cautions": said,
    }
    slots.write_analysis(adata, key, RECORD, record, of=groupby)
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


def _among(adata: AnnData, key: str, compartment: str | None) -> Array:
    """Return which cells are compared."""
    if compartment is None:
        return np.ones(adata.n_obs, bool)
    called = slots.read_obs(adata, key, ("compartment",)).iloc[:, 0].astype(str)
    if not (called == compartment).any():
        msg = f"No cell was called '{compartment}'.{among(compartment, sorted(called.unique()))}"
        raise ParameterError(msg)
    return (called == compartment).to_numpy()


def _groups(adata: AnnData, groupby: str, among: Array) -> Groups:
    column = slots.obs_column(adata, groupby)
    known = column.notna() & (column.astype(str) != NOT_MACROPHAGE) & among
    codes, names = pd.factorize(column.astype(str).where(known), sort=True)
    if len(names) < 2:
        have = f"only the group {names[0]}" if len(names) else "no group"
        msg = (
            f"obs['{groupby}'] has {have} among the {int(among.sum()):,} cells that are compared, and enrichment "
            "compares a group with the others. Name a column with two groups of them."
        )
        raise ParameterError(msg)
    return Groups(tuple(map(str, names)), codes, tuple(str(n) for n in names if n != UNASSIGNED))


def _chosen(signatures: Signatures | str | os.PathLike[str] | None, species: Any) -> SignatureSet:
    if signatures is None:
        return load_signatures(DEFAULT_AXES, species=species())
    return chosen_signatures(signatures, species)


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


def _calls(adata: AnnData, key: str) -> dict[str, pd.Series]:
    return {a: adata.obs[slots.slot(key, a)].astype(str) for a in NAMED if slots.slot(key, a) in adata.obs}
