"""The kinds of values of a matrix, and checks of rows for how they were processed."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from tamannot.scoring._njit import Array
from tamannot.scoring._rows import RowBlock, Seen

Kind = Literal["counts", "log", "linear", "signed"]
# The order of preference; signed values (scaled, or residuals) are for methods that can use them, and come last.
KINDS: tuple[Kind, ...] = ("counts", "log", "linear")
# log1p of a million is 13.8, log2 of it 20: no logarithm of an expression value goes beyond.
LARGEST_LOG = 30.0
# A cell has less than a billion molecules. Sums of larger values overflow 64 bits, and 2**64 - 1 is a -1 gone wrong.
LARGEST_VALUE = 2.0**40

# Fewer rows or genes say nothing of how genes differ.
_FEWEST_ROWS, _FEWEST_GENES = 10, 100
# A gene counts if so many rows, and this share of them, have it.
_ROWS_WITH_GENE, _SHARE_WITH_GENE = 5, 0.05
# Rank correlation over genes of how many cells have a gene with its mean in them: -0.22 or more in expression,
# mostly above 0; about -0.9 where each gene was divided by its own spread, -0.5 or less by its total or frequency.
_RARE_IS_LARGE = -0.4
# Ratio of the variances of the genes at the 90th and the 10th percentile, and of their means.
_SAME_SPREAD, _SAME_MEAN = 1.284, 1.35
# Genes of one scale each have no values in common, which counts and their logarithms have within a cell.
_MANY_TIES, _ROWS_OF_TIES = 0.5, 64
# Zeros in single cells: above 0.55 in the deepest libraries; a panel of abundant genes may have a quarter.
_FEW_ZEROS, _FEW_ZEROS_IN_PANEL, _PANEL = 0.3, 0.1, 1000
_NO_ZEROS = 0.05
# Cells of a sample, at least, where genes that it does not have are NaN.
_CELLS_OF_A_SAMPLE = 4
# Values that must be the same to call cells binary.
_ENOUGH = 50

_NO_ORDER = "so genes cannot be ranked within a cell"


def fault_of(seen: Seen, *, signed: bool) -> str:
    """Return which of some values expression cannot have; empty if there are none."""
    if np.isnan(seen.low):
        return "NaN values"
    if seen.low < 0 and not signed:
        return f"negative values (smallest {seen.low:.3g})"
    largest = max(seen.high, -seen.low)
    if np.isinf(largest):
        return "infinite values"
    return f"values as large as {largest:.3g}, too large for expression" if largest > LARGEST_VALUE else ""


def judge_rows(block: RowBlock, n_vars: int, *, whole: bool) -> tuple[str, str]:
    """Return why non-negative rows cannot be ranked, or a caveat for the user; ``whole``: all values are whole."""
    n = block.indptr.size - 1
    cells = [values[values > 0] for values in np.split(block.values, block.indptr[1:-1])]
    zeros = 1 - np.count_nonzero(block.values > 0) / max(n * n_vars, 1)
    # What was scaled by gene has no whole numbers.
    if problem := "" if whole or n < _FEWEST_ROWS else _by_gene(block, n_vars, zeros, cells):
        return problem, ""
    n_equal, caveat = sum(values.size for values in cells if values.size > 1), ""
    if n_equal >= _ENOUGH and all((values == values[:1]).all() for values in cells):
        caveat = (
            "all non-zero values of a cell are equal (binary): a score counts the detected genes "
            "and ignores how strongly they are expressed"
        )
    elif n_vars >= _FEWEST_GENES and zeros < (_FEW_ZEROS if n_vars >= _PANEL else _FEW_ZEROS_IN_PANEL):
        caveat = f"few values are 0 ({zeros:.0%}), as in bulk samples"
        caveat += (
            ": each sample is annotated as if it were one cell, even if it is a mixture of cell types"
            if whole
            else ", averaged cells or imputed (smoothed) values: genes are ranked as usual, but z and p are unreliable "
            "for smoothed cells. If the values are imputed, use the counts"
        )
    return "", caveat


def nan_problem(block: RowBlock, n_vars: int) -> str:
    """Describe the NaN values: in the same genes of many cells, as after an outer join, or elsewhere."""
    nan = np.isnan(block.values.astype(np.float64))
    where, n = block.indices[nan], block.indptr.size - 1
    ends = np.concatenate([[0], np.cumsum(nan)])[block.indptr]
    different = {where[start:stop].tobytes() for start, stop in pairwise(ends.tolist())} if nan.any() else set()
    genes = np.unique(where).size
    if len(different) == 1:
        return f"it has NaN values: {genes:,} of {n_vars:,} genes are NaN in all cells. Remove these genes"
    n_with = np.count_nonzero(np.diff(ends))
    if n_with >= min(_CELLS_OF_A_SAMPLE, n) and len(different) <= max(n / _CELLS_OF_A_SAMPLE, 2):
        return (
            f"it has NaN values, in {genes:,} of {n_vars:,} genes always in the same cells, as after "
            "anndata.concat(join='outer') for genes that some samples do not have. Concatenate the samples with "
            "join='inner', or remove the genes with NaN"
        )
    return "it has NaN values"


def _by_gene(block: RowBlock, n_vars: int, zeros: float, cells: list[Array]) -> str:
    """Return why the rows cannot be ranked if each gene was scaled; ``cells`` are their values above 0."""
    n, values, columns = block.indptr.size - 1, block.values.astype(np.float64), block.indices
    filled = np.bincount(columns, values > 0, minlength=n_vars)
    genes = filled >= max(_ROWS_WITH_GENE, _SHARE_WITH_GENE * n)
    if genes.sum() < _FEWEST_GENES:
        return ""
    filled, total = filled[genes], np.bincount(columns, values, minlength=n_vars)[genes]
    variance = np.bincount(columns, values**2, minlength=n_vars)[genes] / n - (total / n) ** 2
    (low_mean, low_spread), (high_mean, high_spread) = np.percentile([total, variance], [10, 90], axis=1)
    if zeros < _NO_ZEROS and high_mean < _SAME_MEAN * low_mean:
        return f"all genes have the same mean, like z-scores or ranks by gene shifted to be positive, {_NO_ORDER}"
    some = cells[:_ROWS_OF_TIES]
    ties = 1 - sum(np.unique(v).size for v in some) / max(sum(v.size for v in some), 1)
    if high_spread < _SAME_SPREAD * low_spread and ties < _MANY_TIES:
        return (
            "all genes have the same variance, as after scaling by gene (sc.pp.scale, also with zero_center=False), "
            f"{_NO_ORDER}"
        )
    ranks = rankdata(filled), rankdata(total / filled)
    rising = np.corrcoef(*ranks)[0, 1] if all(r.std() > 0 for r in ranks) else 0.0
    if rising < _RARE_IS_LARGE and zeros >= _NO_ZEROS:
        return (
            f"genes detected in few cells have the largest values (rank correlation {rising:.2f}), as after "
            f"scaling by gene (sc.pp.scale), TF-IDF, or residuals clipped at 0, {_NO_ORDER}"
        )
    return ""
