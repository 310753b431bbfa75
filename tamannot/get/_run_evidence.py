"""The evidence that a run kept, with its matrix: genes, nulls, weights, and the expression by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.classify import METHOD, expression_of, ranking_of
from tamannot.data import Array, RunMatrix, RunRecord
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.scoring import NullBins, SignedGenes, null_contributions
from tamannot.scoring._expression import add_label_sums
from tamannot.scoring._features import SCALES, to_features
from tamannot.scoring._rows import RowBlock
from tamannot.signature import GeneIndex, human_genes

# The tables are float32, and of the same matrix they are the same.
_SAME_Z = 1e-3
_ENSEMBL = ("ENSG0", "ENSMUSG0")


@dataclass(frozen=True)
class Weights:
    """Weights of the genes of one label. Trained weights are scaled: cells without it are 0, training cells 1."""

    columns: Array
    weights: Array
    intercept: float


class RunEvidence:
    """The record of a run under a key; for joined objects, that of the run of one cell."""

    def __init__(self, adata: AnnData, key: str, row: int | None = None) -> None:
        whole = slots.read_record(adata, key)
        record = of_one_run(adata, whole, row)
        if record.joined_by is None and not record.has("evidence") and record.has("matrix"):
            raise ResultNotFoundError(
                f"The run '{key}' has no record of the genes behind its calls: it was written by tamannot.tl.score, "
                "or by an older release. Run tamannot.tl.annotate(adata)."
            )
        self.of_one_run: bool = record.joined_by is None
        """False for objects that were joined, unless the record is that of the run of one cell."""
        try:
            self.matrix: RunMatrix = slots.matrix_of_run(adata, record)
        except MatrixError:
            if whole.joined_by is None or row is None:
                raise
            sample = slots.obs_column(adata, whole.joined_by).iloc[row]
            raise MatrixError(
                f"Cell '{adata.obs_names[row]}' is of sample '{sample}', whose run used other genes than the joined "
                "object has. Get its evidence from the object of that sample."
            ) from None
        self._adata, self._key, self._record = adata, key, record
        self.axis_of = {str(i): str(a) for i, a in record.own_signatures["axis"].items()}
        parts, genes = record.evidence.parts["part"], record.evidence.genes
        self._symbols = dict(zip(genes["column"].tolist(), map(str, genes.index), strict=True))
        self._parts_of = {str(s): [int(p) for p in g] for s, g in parts.groupby(level=0, sort=False)}
        number = genes["part"].to_numpy()
        column, weight = genes["column"].to_numpy(np.int64), genes["weight"].to_numpy(float)
        self._parts = {int(p): SignedGenes(column[number == p], weight[number == p]) for p in parts.unique()}

    def labels(self, axis: str) -> list[str]:
        """Return the signatures of an axis."""
        return [i for i, a in self.axis_of.items() if a == axis]

    def learned(self, axis: str) -> dict[str, Weights]:
        """Return the weights of the labels of an axis that a classifier includes."""
        if axis not in self._record.learned:
            return {}
        learned = self._record.learned[axis]
        return {
            str(name): Weights(learned.column, learned.weights[name].to_numpy(float), float(intercept))
            for name, intercept in zip(learned.weights.columns, learned.intercept, strict=True)
        }

    def expression(self, block: RowBlock) -> Array:
        """Return the values of cells as the classifier saw them; without one, as `classify.expression_of` does."""
        seen = self._record.learned.get("state")
        if seen is None or seen.expression not in SCALES:
            return np.asarray(expression_of(block, self.matrix.kind, self.matrix.n_vars).data)
        return to_features(block.values, block.indptr, seen.expression, seen.base)

    def genes_of(self, signature: str) -> Weights:
        """Return the genes of a signature, those of all its modules in its order, with their weights in it."""
        parts = [self._parts[p] for p in self._parts_of[signature]]
        both = pd.DataFrame(
            {"c": np.concatenate([p.columns for p in parts]), "w": np.concatenate([p.weights for p in parts])}
        ).drop_duplicates("c")
        return Weights(both["c"].to_numpy(), both["w"].to_numpy(), 0.0)

    def names(self, columns: Array) -> list[str]:
        """Return genes by their names in the data; of Ensembl ids the symbols, where they are known."""
        ids = zip(columns.tolist(), map(str, self.matrix.ids[columns]), strict=True)
        known = human_genes().symbol_of
        return [(self._symbols.get(column) or known.get(i, i)) if i.startswith(_ENSEMBL) else i for column, i in ids]

    def row(self, row: int) -> RowBlock:
        """Return the values of a cell."""
        block, z = self.matrix.row(row), slots.read_table(self._adata, self._key, "z").iloc[row]
        for axis in dict.fromkeys(self.axis_of.values()):
            labels = self.labels(axis)
            now = np.array([a[0].sum() for a in self.added_to_z(block, axis, labels)])
            was = z[labels].to_numpy(float)
            if not np.allclose(now, was, rtol=_SAME_Z, atol=_SAME_Z):
                worst = labels[int(np.argmax(np.abs(now - was)))]
                how = f"it now gives different z for cell '{self._adata.obs_names[row]}', for example of {worst}"
                raise self.matrix.changed(how)
        return block

    def added_to_z(self, block: RowBlock, axis: str, signatures: Sequence[str]) -> list[Array]:
        """Return the contribution of each gene to z, per signature, cells by its genes as in `genes_of`.

        Of a signature with modules, it is the genes of the module with the greatest z in the cell; others add nothing.
        """
        numbers = sorted({p for s in signatures for p in self._parts_of[s]})
        ranking = METHOD if axis == "compartment" else ranking_of(self._record.null.max_rank)
        bins = self._record.evidence.bins.get(axis)
        null = NullBins(np.asarray(self._record.bins if bins is None else bins, np.int32))
        found = null_contributions(block, self.matrix.n_vars, ranking, [self._parts[p] for p in numbers], null)
        by_part, added = dict(zip(numbers, found, strict=True)), []
        for signature in signatures:
            parts, columns = self._parts_of[signature], self.genes_of(signature).columns
            best = np.argmax([by_part[p].sum(axis=1) for p in parts], axis=0)
            out = np.zeros((best.size, columns.size))
            place = {c: i for i, c in enumerate(columns.tolist())}
            for i, p in enumerate(parts):
                for c, of_gene in zip(self._parts[p].columns.tolist(), by_part[p].T, strict=True):
                    out[:, place[c]] += np.where(best == i, of_gene, 0.0)
            added.append(out)
        return added


def of_one_run(adata: AnnData, record: RunRecord, row: int | None) -> RunRecord:
    """Return the record of the run of a cell, or of all cells if they are of one run."""
    if record.joined_by is None or row is None:
        return record
    return record.of_sample(str(slots.obs_column(adata, record.joined_by).iloc[row]))


@dataclass(frozen=True)
class ByLabel:
    """Expression of every gene in the cells of each label: ``log1p`` of 10,000 per cell, or logarithms as they are."""

    n: Array
    """Cells of each label."""
    detected: Array
    """Labels × genes: share of cells with a value above 0."""
    mean: Array
    """Labels × genes."""
    square: Array
    """Labels × genes: mean of the squares."""

    def apart(self, label: int) -> Array:
        """Return how far each gene's mean in a label is above that in all others, in standard deviations."""
        others = np.arange(self.n.size) != label
        weight = self.n[others] / max(self.n[others].sum(), 1)
        mean, square = weight @ self.mean[others], weight @ self.square[others]
        spread = (self.square[label] - self.mean[label] ** 2 + square - mean**2) / 2
        return np.asarray((self.mean[label] - mean) / np.sqrt(np.maximum(spread, 1e-12)))


def by_label(matrix: RunMatrix, codes: Array, n_labels: int) -> ByLabel:
    """Return the expression of every gene by label, which ``codes`` give; cells with -1 are left out."""
    n = np.bincount(codes[codes >= 0], minlength=n_labels)
    sums = np.zeros((n_labels, matrix.n_vars, 3))
    for block, rows in matrix.blocks(codes >= 0):
        values = expression_of(block, matrix.kind, matrix.n_vars).data
        add_label_sums(values, block.indices, block.indptr, codes[rows], sums)
    sums /= np.maximum(n, 1)[:, None, None]
    return ByLabel(n, *np.moveaxis(sums, 2, 0))


def columns_of(matrix: RunMatrix, genes: Sequence[str]) -> list[int]:
    """Return the columns of genes given by symbol or id."""
    index = GeneIndex([str(i) for i in matrix.ids])
    columns = [index.find(gene) for gene in genes]
    if absent := [gene for gene, column in zip(genes, columns, strict=True) if column < 0]:
        names = ", ".join(absent[:5])
        raise ParameterError(
            f"No gene {names} in the matrix '{matrix.name}' of the run; its genes are named like {matrix.ids[0]}."
        )
    return columns
