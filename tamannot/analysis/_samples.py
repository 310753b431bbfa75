"""Samples, the unit of every comparison; malignant cells by the user's column; expression in some cells of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.classify import expression_of, ranking_of
from tamannot.data import Array, RunMatrix, RunRecord
from tamannot.data._unpack import check_species
from tamannot.errors import GeneIdError, ParameterError, TamannotWarning, among, some_of, tell
from tamannot.scoring import RankedRows, Run, depths_by_method, make_plan, null_bins, score_runs
from tamannot.scoring._rows import as_floats, joined
from tamannot.signature import GeneIndex, Signature, as_signatures

Malignant = str | tuple[str, str | bool | Sequence[str | bool]]  # a boolean column, or a column and values of it

MALIGNANT = "malignant"
FEW_GENES = 3  # with fewer detected genes of a program, its z is uninformative in a single cell
_NEVER = (
    "Malignant cells are never inferred here: name the column of obs that marks them, for example from copy "
    "numbers, as malignant='is_malignant' (True and False) or malignant=('cell_type', 'Malignant')."
)


@dataclass(frozen=True)
class Samples:
    """The sample of each cell."""

    names: tuple[str, ...]  # sorted
    codes: Array  # of each cell the place of its sample in ``names``; -1 where the column has no value

    def total(self, values: Array) -> Array:
        """Return the sum over the cells of each sample: (cells,) to (samples,), or (cells, k) to (samples, k)."""
        known = self.codes >= 0
        out = np.zeros((len(self.names), *values.shape[1:]))
        np.add.at(out, self.codes[known], values[known])
        return out

    def mean(self, values: Array, of: Array) -> Array:
        """Return the mean over those cells of each sample that ``of`` (bool) chooses; NaN where there is none."""
        kept = Samples(self.names, np.where(of, self.codes, -1))
        n = kept.total(np.ones(len(self.codes)))
        with np.errstate(invalid="ignore"):
            means = kept.total(np.where(of.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)).T / n
        return means.T


def samples_of(adata: AnnData, sample_key: str) -> Samples:
    """Return the samples of an object."""
    column = slots.obs_column(adata, sample_key)
    known = column.notna().to_numpy()
    codes, names = pd.factorize(pd.Series(slots.texts_of(column), dtype=object).where(known), sort=True)
    if not len(names):
        raise ParameterError(f"obs['{sample_key}'] has no values.")
    return Samples(tuple(map(str, names)), codes)


def table_of_samples(adata: AnnData, samples: Samples, columns: Sequence[str]) -> pd.DataFrame:
    """Return the properties of each sample: columns of ``obs`` with one value per sample."""
    table = pd.DataFrame(index=pd.Index(samples.names, name="sample"))
    for name in columns:
        # As objects: whatever the column was, a missing value counts as one.
        known = samples.codes >= 0
        found = pd.Series(slots.obs_column(adata, name).to_numpy(dtype=object)[known]).groupby(samples.codes[known])
        if varied := [samples.names[i] for i in np.flatnonzero(found.nunique(dropna=False).to_numpy() > 1)]:
            raise ParameterError(
                f"obs['{name}'] has more than one value in sample '{varied[0]}'. The sample is the unit of comparison: "
                "use a column with one value per sample, or a sample_key that separates these cells."
            )
        table[name] = found.first().infer_objects().to_numpy()
    return table


def numbers_of(values: pd.Series, what: str, *, fewest_words: int = 0) -> pd.Series:
    """Return one value per sample as a number; of two categories the first is 0 and the second 1."""
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(float)
    codes, words = pd.factorize(values, sort=True)
    if not fewest_words <= len(words) <= 2:
        raise ParameterError(
            f"{what} has {len(words)} categories, which have no order. Use numbers, or a column with two categories."
        )
    return pd.Series(np.where(codes < 0, np.nan, codes), index=values.index)


@dataclass(frozen=True)
class Groups:
    """The sample and the label of each cell."""

    by: list[str]
    malignant: bool  # whether the malignant cells are a label of their own
    samples: Samples
    labels: list[str]
    codes: Array  # of each cell the place of its label, -1 for those that are left out


def groups_of(
    adata: AnnData, key: str, groupby: str | Sequence[str], malignant: Array | None, samples: Samples
) -> Groups:
    """Return the groups by one or more crossed columns; macrophages only, unless compartments are included."""
    by = [groupby] if isinstance(groupby, str) else list(groupby)
    names = [slots.slot(key, b) if b in slots.AXES else b for b in by]
    if not by:
        raise ParameterError("groupby is empty. Give 'state', 'origin', 'compartment' or a column of obs.")
    compartment = slots.labels_of(adata, key, "compartment")
    columns = [slots.obs_column(adata, n) for n in names]
    words = columns[0].astype(str)
    for column in columns[1:]:
        words = words + " | " + column.astype(str)
    known = np.logical_and.reduce([c.notna().to_numpy() for c in columns])
    if "compartment" not in by:
        known &= compartment == "macrophage"
    if malignant is not None:
        words, known = words.mask(malignant, MALIGNANT), known | malignant
    if not known.any():
        if "compartment" in by or (compartment == "macrophage").any():
            msg = f"No cell has a value of {' and '.join(map(repr, names))} in obs, so there is nothing to summarise."
        else:
            msg = "There are no macrophages to summarise. Use groupby='compartment' to summarise all cells."
        raise ParameterError(msg)
    codes, labels = pd.factorize(words.where(known), sort=True)
    return Groups(by, malignant is not None, samples, [str(w) for w in labels], codes)


def malignant_cells(adata: AnnData, malignant: Malignant) -> Array:
    """Return the malignant cells by the user's column."""
    if not malignant:
        raise ParameterError(_NEVER)
    name, values = (malignant, None) if isinstance(malignant, str) else malignant
    column = slots.obs_column(adata, name)
    if values is None:
        kinds = set(column.dropna().unique())
        if not all(isinstance(k, bool | np.bool_) for k in kinds):
            shown = ", ".join(sorted(map(str, kinds))[:5])
            raise ParameterError(
                f"obs['{name}'] is not boolean: it has {shown}. "
                f"Specify which of its values are malignant: malignant=('{name}', 'Malignant')."
            )
        chosen = column.astype("boolean").fillna(value=False).to_numpy(bool)
    else:
        asked = [values] if isinstance(values, str | bool) else list(values)
        wanted, have = {str(v) for v in asked}, set(column.dropna().astype(str))
        if unknown := sorted(wanted - have):
            raise ParameterError(f"obs['{name}'] has no value {', '.join(unknown)}.{among(unknown[0], sorted(have))}")
        chosen = np.asarray(column.astype(str).isin(wanted) & column.notna(), bool)
    if not chosen.any():
        raise ParameterError(f"obs['{name}'] marks no cell as malignant. {_NEVER}")
    return chosen


def malignant_as_text(malignant: Malignant) -> str:
    """Return the user's choice as text: the column, and its values if there were any."""
    if isinstance(malignant, str):
        return malignant
    name, values = malignant
    return f"{name}: {', '.join(map(str, [values] if isinstance(values, str | bool) else values))}"


def library_species(record: RunRecord) -> Literal["human", "mouse"]:
    """Return the species of the signatures of a run."""
    return "mouse" if record.matrix.species == "mouse" else "human"


def some_genes(matrix: RunMatrix, columns: Array | list[int], cells: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the cells of a mask by blocks: their rows, and their `expression_of` some genes, cells by genes."""
    for block, rows in matrix.blocks(cells):
        yield rows, expression_of(block, matrix.kind, matrix.n_vars)[:, columns].toarray()


def detection_of(
    matrix: RunMatrix, sets: Mapping[str, Signature], genes: Sequence[str], cells: Array
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the expression of genes in all cells, and which of a mask lack each or show too few genes of a set."""
    index = GeneIndex([str(i) for i in matrix.ids])
    members = {name: [index.find(g.symbol, g.ensembl) for g in s.all_genes] for name, s in sets.items()}
    alone = {gene: index.find(gene) for gene in genes}
    if absent := [gene for gene, column in alone.items() if column < 0]:
        raise ParameterError(
            f"The data have no gene '{absent[0]}'. Use a gene of the data, or the id of a program or context set."
        )
    every = members | {gene: [column] for gene, column in alone.items()}
    columns = np.unique(np.array([c for found in every.values() for c in found if c >= 0], np.int64))
    belongs = np.array([np.isin(columns, found) for found in every.values()], np.float32).reshape(len(every), -1)
    least = np.array([FEW_GENES] * len(members) + [1] * len(alone))
    few = np.zeros((cells.size, len(every)), bool)
    expression = np.zeros((cells.size, len(alone)), np.float32)
    at = np.searchsorted(columns, np.array(list(alone.values()), np.int64))
    for rows, values in some_genes(matrix, columns, cells):
        few[rows] = (values > 0).astype(np.float32) @ belongs.T < least
        expression[rows] = values[:, at]
    return pd.DataFrame(expression, columns=list(alone)), pd.DataFrame(few, columns=list(every))


def depth_of(matrix: RunMatrix, cells: Array) -> Array:
    """Return the counts of each cell of a mask, or its detected genes if the matrix has no counts; 0 in the others."""
    depth = np.zeros(cells.size)
    for block, rows in matrix.blocks(cells):
        depth[rows] = block.totals(as_floats(block.values) if matrix.kind == "counts" else block.values > 0)
    return depth


def scores_in(
    adata: AnnData, key: str, cells: Array, sets: Mapping[str, Signature]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return z and p against expression bins of some cells alone, and the share of each set's genes in the data.

    There is one row per cell of the object, 0 in the other cells; sets without a gene in the data have NaN.
    """
    record = slots.read_record(adata, key)
    matrix, species = slots.matrix_of_run(adata, record), library_species(record)
    signatures, index = as_signatures(sets), GeneIndex([str(i) for i in matrix.ids], species=species)
    check_species(species, signatures)
    plan = make_plan(signatures, index.locate, matrix.n_vars)
    coverage = pd.Series([c.share for c in plan.coverage], index=list(plan.ids))
    if not coverage.any():
        raise GeneIdError(f"None of the genes of {some_of(sets)} is in the matrix '{matrix.name}' of the run.")
    tell({index.note: TamannotWarning} if index.note else {})
    method, threads = ranking_of(record.null.max_rank), settings.n_threads()
    for part in plan.parts:
        method.check(part, plan.n_vars)
    block = joined([block for block, _ in matrix.blocks(cells)])
    shape = int(cells.sum()), matrix.n_vars
    rows = slots.row_source(sp.csr_matrix((block.values, block.indices, block.indptr), shape=shape))
    ranked = RankedRows(rows, [method], keep=True)
    with closing(Progress(show=settings.progress)) as progress:
        progress("expression bins", shape[0])
        [depth] = depths_by_method(rows, [method], threads=threads, tick=progress.tick, ranked=ranked)
        progress("scoring", shape[0])
        runs = [Run(method, null_bins(depth))]
        [found] = score_runs(rows, plan, runs, threads=threads, tick=progress.tick, ranked=ranked)
    tables = []
    for values in (found.z, found.p):  # type: ignore[attr-defined]
        table = np.zeros((cells.size, len(plan.ids)))
        table[cells] = np.where(coverage > 0, values, np.nan)
        tables.append(pd.DataFrame(table, columns=list(plan.ids)))
    return tables[0], tables[1], coverage
