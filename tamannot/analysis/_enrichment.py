"""``tl.enrich``: signatures that are enriched in each group of cells."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._settings import SpeciesChoice, settings
from tamannot.analysis import _gene_rankings
from tamannot.analysis._gene_rankings import MIN_CELLS, GeneSet, Groups, Method, Ranking, Settings
from tamannot.analysis._samples import samples_of
from tamannot.classify import MACROPHAGE, NOT_MACROPHAGE, UNASSIGNED
from tamannot.errors import GeneIdError, ParameterError, among, some_of
from tamannot.signature import Signatures, chosen_signatures, load_signatures

_DEFAULT_AXES = ("compartment", "origin", "state", "overlay", "polarization", "published")

# A name by enrichment needs at most this q, over samples at least this difference (log2), a third more than in the
# other cells, and of this many samples at most this p over samples.
_MAX_Q, _MIN_DIFFERENCE, _ENOUGH_SAMPLES, _MAX_P = 0.05, 0.4, 4, 0.05
_MOSTLY = 0.5  # share of macrophages among the compared cells above which origin and state are named
_FEW_SAMPLES = 4  # with fewer samples the ranking rests on very little


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
    """Find the signatures that are enriched in each group of cells, in a ranking of all genes.

    Each group is compared with all other cells that have a group. With ``sample_key`` the counts of each sample are
    summed within the group and within the rest, and genes are ranked by the moderated t of the within-sample difference
    in log2 counts per million. Without samples they are ranked by a t over cells. gseapy's ``prerank`` then tests where
    the genes of each signature fall in the ranking.

    Parameters
    ----------
    adata
        An annotated object with the matrix: counts, or log-normalised values.
    groupby
        Column of ``obs``: clusters, ``"tam_state"``, ``"tam_origin"`` or any other. Cells without a value and
        ``not_macrophage`` are left out; ``unassigned`` cells are part of the rest and have no result of their own.
    signatures
        None uses the axes compartment, origin, state, overlay, polarization and published. Or the name of an axis,
        signatures, a file (GMT, TOML, JSON, a table), or ``{id: [genes]}``; see `read_signatures`.
    sample_key
        Column of ``obs`` with the sample. A sample counts for a group if it has at least 10 cells in it and 10 in the
        rest. A group with fewer than two such samples is ranked by cells; ``unit`` says which.
    compartment
        Compare only cells of this compartment, such as ``"macrophage"``; None compares all cells. To find differences
        between macrophages, compare macrophages: relative to other cells, all of them are enriched for common genes
        such as C1Q.
    method
        Method of gseapy: ``"multilevel"`` (that of fgsea) is fast and resolves p down to 1e-10; ``"permutation"`` draws
        ``n_permutations`` random sets, takes about ten times as long, and its p may be 0.
    min_size
        Signatures with fewer genes in the ranking are left out.
    max_size
        Signatures with more genes in the ranking are left out.
    n_permutations
        Number of random sets for normalising the score.
    layer
        ``"X"``, ``"raw"`` or a layer; None uses the usable matrix with most genes of the signatures and prefers counts.
    gene_symbols
        Column of ``var`` with symbols or Ensembl ids; None detects it.
    species
        Species of the data; ``"auto"`` recognises it from the ids.
    rng
        Seed or generator. The same seed gives the same result with any number of threads; an integer is passed to
        gseapy unchanged.
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"]["{key}"]["enrichment"]`` (read them with `get.enrichment`):
    ``table``, one row per group and signature, and ``clusters``, one row per group with its names. Origin and state are
    named only if macrophages were compared with macrophages.

    Raises
    ------
    ParameterError
        The column is missing, has fewer than two groups, or a number is out of range.
    GeneIdError
        No signature has ``min_size`` genes in the ranking.
    ResultNotFoundError
        The object is not annotated or scored under ``key``.
    TamannotError
        No usable matrix, or signatures of another species.

    Notes
    -----
    Limits. p and q compare with random sets of genes, not random samples. They ignore the correlation between genes and
    are too small: even random groups of cells reach small q. ``p_samples`` uses the sample as the unit and avoids this,
    but has little power with few samples. Use enrichment to name groups; to compare conditions, compare shares of
    samples. q is computed within a group. Enrichment is relative to the other cells in the object: among macrophages
    alone, no group is enriched for macrophage genes. Groups that were called from signatures, such as ``tam_state``,
    are enriched for them by construction. Gene sets share genes, so several may be enriched for the same reason:
    compare ``leading_edge``. Only up genes are used, also of signed signatures; a composite uses those of all its
    modules.

    Sources: Subramanian et al. 2005, doi:10.1073/pnas.0506580102; Korotkevich et al. 2021, doi:10.1101/060012; gseapy,
    Fang et al. 2023, doi:10.1093/bioinformatics/btac757; moderated t: Smyth 2004, doi:10.2202/1544-6115.1027.

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
    seed = int(rng.integers(2**31)) if isinstance(rng, np.random.Generator) else int(rng)
    how = Settings(method, int(min_size), int(max_size), int(n_permutations), seed)
    adata = slots.to_work_on(adata, copy=copy)
    slots.read_record(adata, key)
    calls = {a: adata.obs[slots.slot(key, a)].astype(str) for a in slots.AXES if slots.slot(key, a) in adata.obs}
    groups = _groups(adata, key, groupby, compartment)
    species_seen = partial(slots.species_of, adata, gene_symbols=gene_symbols, species=species, layer=layer)
    if signatures is None:
        chosen = load_signatures(_DEFAULT_AXES, species=cast("Any", species_seen()))
    else:
        chosen = chosen_signatures(signatures, species_seen)
    data = slots.unpack(adata, chosen, layer=layer, gene_symbols=gene_symbols, species=species)
    sets = _gene_rankings.gene_sets(chosen, data.index)
    samples = samples_of(adata, sample_key) if sample_key is not None else None
    threads = settings.n_threads()
    rankings = _gene_rankings.rank_genes(data, groups, samples, threads=threads)
    table = _table(rankings, sets, how, threads)
    # With macrophages, or where nobody called compartments, groups also have names by origin and state.
    called = calls.get("compartment")
    with_states = called is None or bool((called[groups.codes >= 0] == MACROPHAGE).mean() > _MOSTLY)
    said = [*_cautions_on_rankings(groups, rankings, sampled=samples is not None)]
    if groupby.startswith(f"{key}_"):
        said.append(
            f"The groups of '{groupby}' were called from signatures, so they are enriched for them by construction."
        )
    if not with_states:
        said.append(
            "Most compared cells are not macrophages, and macrophages differ from them mainly in genes of all "
            f"macrophages: no group is named by origin or state. Compare macrophages with compartment='{MACROPHAGE}'."
        )
    if signed := [s.id for s in sets if s.n_down]:
        said.append(f"Down genes are not used: {some_of(signed)}.")
    if samples is not None and data.kind == "log":
        said.append("The data have no counts: samples were compared by means of log-normalised values.")
    first = next(iter(rankings.values()))
    about = [(s.id, s.axis, s.version, s.digest, s.n_genes, s.ranked_in(first), s.n_down) for s in sets]
    columns = ["signature", "axis", "version", "digest", "n_genes", "n_ranked", "n_down"]
    record = {
        "table": table,
        "clusters": name_clusters(table, {s.id: s.axis for s in sets}, groups, calls, with_states=with_states),
        "signatures": pd.DataFrame(about, columns=columns).set_index("signature"),
        "groupby": groupby,
        "sample_key": sample_key or "",
        "compartment": compartment or "",
        "matrix": data.matrix,
        **asdict(how),
        "cautions": said,
    }
    slots.write_analysis(adata, key, "enrichment", record, of=groupby)
    return adata if copy else None


def _groups(adata: AnnData, key: str, groupby: str, compartment: str | None) -> Groups:
    compared = np.ones(adata.n_obs, bool)
    if compartment is not None:
        called = slots.labels_of(adata, key, "compartment")
        compared = called == compartment
        if not compared.any():
            raise ParameterError(f"No cell was called '{compartment}'.{among(compartment, sorted(set(called)))}")
    column = slots.obs_column(adata, groupby)
    known = column.notna() & (column.astype(str) != NOT_MACROPHAGE) & compared
    codes, names = pd.factorize(column.astype(str).where(known), sort=True)
    if len(names) < 2:
        have = f"only the group {names[0]}" if len(names) else "no group"
        raise ParameterError(
            f"obs['{groupby}'] has {have} among the {int(compared.sum()):,} compared cells, but enrichment "
            "compares each group with the others. Use a column with at least two groups."
        )
    return Groups(tuple(map(str, names)), codes, tuple(str(n) for n in names if n != UNASSIGNED))


def _table(rankings: Mapping[str, Ranking], sets: Sequence[GeneSet], how: Settings, threads: int) -> pd.DataFrame:
    if not rankings:
        raise ParameterError(
            f"No group has {MIN_CELLS} cells and {MIN_CELLS} cells outside it, so there is nothing to compare."
        )
    parts = []
    for name, ranking in rankings.items():
        part = _gene_rankings.prerank(ranking, sets, how, threads=threads)
        part = part.assign(unit=ranking.unit, n_samples=ranking.n_samples, n_cells=ranking.n_cells)
        parts.append(part.assign(group=name))
    table = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True)
    if table.empty:
        most = max(s.ranked_in(r) for s in sets for r in rankings.values())
        raise GeneIdError(
            f"No signature has between {how.min_size} and {how.max_size} ranked genes (the largest has {most}). "
            "Lower min_size, or use a matrix with more genes."
        )
    return table[["group", *_gene_rankings.COLUMNS, "unit", "n_samples", "n_cells"]]


def name_clusters(
    table: pd.DataFrame,
    axis_of: Mapping[str, str],
    groups: Groups,
    calls: Mapping[str, pd.Series],
    *,
    with_states: bool = True,
) -> pd.DataFrame:
    """Return the clusters of `get.enrichment`; without states, origin and state are ``unassigned``."""
    axes = [a for a in slots.AXES if a in axis_of.values()]
    rows = []
    for name in pd.unique(table["group"]):
        mine = groups.codes == groups.names.index(str(name))
        own = {axis: labels[mine] for axis, labels in calls.items()}
        of_group = table[table["group"] == name]
        # Where most cells were called, and most of those are no macrophages, origin and state are not asked.
        called = own.get("compartment", pd.Series(dtype=object))
        other = (called == MACROPHAGE).sum() * 2 < (called != UNASSIGNED).sum()
        row: dict[str, object] = {"group": str(name), "n_cells": int(mine.sum())}
        for axis in axes:
            label, nes, q = _best(of_group[of_group["signature"].map(axis_of) == axis])
            if axis != "compartment":
                label = NOT_MACROPHAGE if other else label if with_states else UNASSIGNED
            majority, share = "", np.nan
            if axis in own:  # the label of most cells that have one; of equals the first by name
                counts = own[axis][own[axis] != UNASSIGNED].value_counts().sort_index(kind="stable")
                majority = str(counts.idxmax()) if len(counts) else UNASSIGNED
                share = float(counts.max() / counts.sum()) if len(counts) else np.nan
            row |= {axis: label, f"{axis}_nes": nes, f"{axis}_q": q}
            row |= {f"{axis}_cells": majority, f"{axis}_share": share, f"{axis}_agree": label == majority}
        rows.append(row)
    return pd.DataFrame(rows)


def _best(table: pd.DataFrame) -> tuple[str, float, float]:
    """Return the signature with the greatest NES, its NES and q; ``unassigned`` where it is not beyond chance.

    Genes that go together reach a small q by chance: without a look at samples, where there are some, half of the
    clusters without any program would have a name.
    """
    if table.empty:
        return UNASSIGNED, np.nan, np.nan
    top = table.iloc[int(table["nes"].to_numpy().argmax())]
    agree = top["p_samples"] <= _MAX_P or top["n_samples"] < _ENOUGH_SAMPLES
    holds = top["unit"] == "cell" or (agree and top["difference"] >= _MIN_DIFFERENCE)
    named = top["nes"] > 0 and top["q"] <= _MAX_Q and holds
    return str(top["signature"]) if named else UNASSIGNED, float(top["nes"]), float(top["q"])


def _cautions_on_rankings(groups: Groups, rankings: Mapping[str, Ranking], *, sampled: bool) -> Iterator[str]:
    """Yield the cautions on the rankings; ``sampled`` tells whether samples were given."""
    yield "p and q compare with random gene sets, not random samples; genes are correlated, so they are too small."
    if by_cells := [name for name, r in rankings.items() if r.unit == "cell"]:
        why = "fewer than two samples have enough cells" if sampled else "no sample_key was given"
        yield (
            f"Ranked over cells, because {why}: {some_of(by_cells)}. A single large sample can decide the result, and "
            "names rely on q, which is too small."
        )
    if few := [name for name, r in rankings.items() if 0 < r.n_samples < _FEW_SAMPLES]:
        yield f"Fewer than {_FEW_SAMPLES} samples: {some_of(few)}."
    if absent := [name for name in groups.tested if name not in rankings]:
        yield f"No result, because the group or the rest has fewer than {MIN_CELLS} cells: {some_of(absent)}."
