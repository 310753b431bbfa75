"""Genes ranked in each group of cells, over samples or else over cells, and enrichment of a ranking by gseapy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tamannot.analysis._samples import Samples
from tamannot.data import Array, Unpacked
from tamannot.errors import ParameterError
from tamannot.scoring._expression import TARGET, group_sums
from tamannot.signature import GeneIndex, Signature
from tamannot.stats._means import log_cpm, moderated_t, over_samples, welch_t

Method = Literal["multilevel", "permutation"]

MIN_CELLS = 10  # a gene seen in fewer cells has no place in a ranking; a pseudobulk of fewer is none
_NOT_LOGGED = ("counts", "linear")

SMALLEST_P = 1e-10  # below this a p against random sets says nothing more, and takes several times as long to find
COLUMNS = ("signature", "es", "nes", "p", "q", "difference", "p_samples", "n_genes", "leading_edge", "rank")

_FIGURES = {"es": "ES", "nes": "NES", "p": "NOM p-val", "q": "FDR q-val"}


@dataclass(frozen=True)
class Ranking:
    """The genes of a data set, ranked for one group against all others."""

    columns: Array  # columns of the genes, from the greatest value to the smallest; ties in the order of columns
    values: Array  # what they are ranked by
    unit: str  # ``"sample"`` or ``"cell"``
    n_cells: int  # cells of the group
    differences: Array  # in each sample, in the order of the genes, shape ``(n_samples, n_genes)``; no rows by cells

    @property
    def n_samples(self) -> int:
        """Samples compared; 0 by cells."""
        return len(self.differences)


@dataclass(frozen=True)
class Groups:
    """The group of each cell, and the groups that are compared with all others."""

    names: tuple[str, ...]
    codes: Array
    tested: tuple[str, ...]


def rank_genes(data: Unpacked, groups: Groups, samples: Samples | None, *, threads: int) -> dict[str, Ranking]:
    """Return the ranking of each group that has one, over samples if they are given; threads change no result."""
    found = _by_samples(data, groups, samples, threads) if samples is not None else {}
    if left := [name for name in groups.tested if name not in found]:
        found |= _by_cells(data, groups, left, threads)
    return {name: found[name] for name in groups.tested if name in found}


def _by_samples(data: Unpacked, groups: Groups, samples: Samples, threads: int) -> dict[str, Ranking]:
    shape = n_samples, n_groups = len(samples.names), len(groups.names)
    known = (samples.codes >= 0) & (groups.codes >= 0)
    codes = np.where(known, samples.codes * n_groups + groups.codes, -1)
    found = group_sums(data.rows, codes, n_samples * n_groups, threads=threads)
    n_cells, sums = found.n_cells.reshape(shape), found.sums.reshape(*shape, -1)
    seen = np.flatnonzero(found.detected >= MIN_CELLS)
    rankings = {}
    for name in groups.tested:
        group = groups.names.index(name)
        n = n_cells[:, group]
        n_rest = n_cells.sum(axis=1) - n
        here = (n >= MIN_CELLS) & (n_rest >= MIN_CELLS)
        if here.sum() < 2:
            continue
        own = sums[here, group]
        rest = sums[here].sum(axis=1) - own
        if data.kind in _NOT_LOGGED:
            logs = log_cpm(np.concatenate([own, rest]))
            differences = logs[: len(own)] - logs[len(own) :]
        else:
            differences = own / n[here][:, None] - rest / n_rest[here][:, None]
        differences = differences[:, seen]
        rankings[name] = _ranked(seen, moderated_t(differences), int((groups.codes == group).sum()), differences)
    return rankings


def _by_cells(data: Unpacked, groups: Groups, names: Sequence[str], threads: int) -> Mapping[str, Ranking]:
    target = TARGET if data.kind in _NOT_LOGGED else 0.0
    sums = group_sums(data.rows, groups.codes, len(groups.names), target=target, squares=True, threads=threads)
    seen = np.flatnonzero(sums.detected >= MIN_CELLS)
    total, total_squares = sums.sums.sum(axis=0), sums.squares.sum(axis=0)
    found = {}
    for name in names:
        group = groups.names.index(name)
        n, n_rest = int(sums.n_cells[group]), int(sums.n_cells.sum() - sums.n_cells[group])
        if min(n, n_rest) < MIN_CELLS:
            continue
        own, own_squares = sums.sums[group], sums.squares[group]
        t = welch_t(n, own, own_squares, n_rest, total - own, total_squares - own_squares)
        found[name] = _ranked(seen, t[seen], n, np.empty((0, seen.size)))
    return found


def _ranked(columns: Array, values: Array, n_cells: int, differences: Array) -> Ranking:
    order = np.argsort(-values, kind="stable")
    unit = "sample" if len(differences) else "cell"
    return Ranking(columns[order], values[order], unit, n_cells, differences[:, order])


@dataclass(frozen=True)
class GeneSet:
    """The up genes of a signature that are in the data."""

    id: str
    axis: str
    version: str
    digest: str
    n_genes: int
    symbol_of: Mapping[int, str]  # symbol of each column
    n_down: int  # down genes: no part of the set

    def ranked_in(self, ranking: Ranking) -> int:
        """Return how many of the genes are in a ranking."""
        return int(np.isin(ranking.columns, list(self.symbol_of)).sum())


@dataclass(frozen=True)
class Settings:
    """Of gseapy's ``prerank``."""

    method: Method
    min_size: int
    max_size: int
    n_permutations: int
    seed: int

    def __post_init__(self) -> None:
        """Raise if a setting is out of range."""
        if self.method not in get_args(Method):
            raise ParameterError(f"method must be one of {', '.join(get_args(Method))}, not {self.method!r}.")
        if not 1 <= self.min_size <= self.max_size or self.n_permutations < 1:
            raise ParameterError(
                "min_size must be between 1 and max_size, and n_permutations at least 1, not "
                f"{self.min_size}, {self.max_size} and {self.n_permutations}."
            )


def gene_sets(signatures: Mapping[str, Signature], index: GeneIndex) -> list[GeneSet]:
    """Match the up genes of signatures to the columns of the data; of a composite, the genes of all its modules."""
    sets = []
    for signature in signatures.values():
        genes = signature.all_genes
        up = [g for g in genes if g.direction == "up"]
        places = {index.locate(g.symbol, g.ensembl): g.symbol for g in reversed(up)}
        places.pop(-1, None)
        about = (signature.id, signature.axis, signature.version, signature.digest)
        sets.append(GeneSet(*about, n_genes=len(up), symbol_of=places, n_down=len(genes) - len(up)))
    return sets


def prerank(ranking: Ranking, sets: Sequence[GeneSet], settings: Settings, *, threads: int) -> pd.DataFrame:
    """Return the enrichment in a ranking of the sets whose size the settings allow, by NES from the greatest."""
    fitting = [s for s in sets if settings.min_size <= s.ranked_in(ranking) <= settings.max_size]
    if not fitting:
        return pd.DataFrame({name: [] for name in COLUMNS})
    import gseapy  # noqa: PLC0415 - slow to import, rarely used

    # Names of our own: gseapy changes the case of some, and takes numbers for positions.
    names = pd.Index([f"g{c}" for c in ranking.columns.tolist()], dtype=object)
    result = gseapy.prerank(
        rnk=pd.Series(_without_ties(ranking.values), index=names, name="value"),
        gene_sets={s.id: [f"g{c}" for c in s.symbol_of] for s in fitting},
        outdir=None,
        no_plot=True,
        min_size=settings.min_size,
        max_size=settings.max_size,
        permutation_num=settings.n_permutations,
        method=settings.method,
        eps=SMALLEST_P,
        seed=settings.seed,
        threads=threads,
        verbose=False,
    )
    difference = p_samples = np.full(len(fitting), np.nan)
    if ranking.n_samples:
        # In each sample the mean excess of the genes of each set over all genes.
        above = ranking.differences - ranking.differences.mean(axis=1, keepdims=True)
        means = [above[:, np.isin(ranking.columns, list(s.symbol_of))].mean(axis=1) for s in fitting]
        of_samples = over_samples(np.stack(means, axis=1), fewest=2)
        difference, p_samples = of_samples.mean, of_samples.p
    found = pd.DataFrame(result.res2d).set_index("Term").loc[[s.id for s in fitting]]
    leading = [[int(name[1:]) for name in str(genes).split(";") if name] for genes in found["Lead_genes"]]
    table = pd.DataFrame(
        {
            "signature": [s.id for s in fitting],
            **{ours: found[theirs].to_numpy(float) for ours, theirs in _FIGURES.items()},
            "difference": difference,
            "p_samples": p_samples,
            "n_genes": [s.ranked_in(ranking) for s in fitting],
            "leading_edge": [";".join(s.symbol_of[c] for c in some) for s, some in zip(fitting, leading, strict=True)],
        }
    )
    table = table.sort_values(["nes", "signature"], ascending=[False, True], ignore_index=True)
    table["rank"] = np.arange(1, len(table) + 1)
    return table[list(COLUMNS)]


def _without_ties(values: Array) -> Array:
    """Return strictly decreasing values with minimal steps, because gseapy orders ties randomly."""
    out = values.astype(np.float64)
    # The least step at the greatest value; that at a tie beside zero would be so small that gseapy never ends.
    step = np.spacing(max(1.0, np.abs(out).max(initial=0.0)))
    for i in np.flatnonzero(np.diff(out) >= 0) + 1:
        j = int(i)
        while j < out.size and out[j] >= out[j - 1]:
            out[j] = out[j - 1] - step
            j += 1
    return out
