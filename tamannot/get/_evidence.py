"""The evidence behind the labels of one cell, and what a run kept of it: genes, nulls, weights, with its matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.classify import METHOD, ORIGINS, TRANSITIONAL, UNASSIGNED, expression_of, ranking_of
from tamannot.data import Array, RunMatrix, RunRecord
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.get._tables import row_of
from tamannot.scoring import SignedGenes, null_contributions
from tamannot.scoring._expression import add_label_sums
from tamannot.scoring._features import SCALES, to_features
from tamannot.scoring._rows import RowBlock
from tamannot.signature import GeneIndex, human_genes

REASONS = {
    "low_signal": "no active program",
    "ambiguous": "the two best labels are too close",
    "low_coverage": "too few genes in the data",
    "not_applicable": "microglia-like, which is not called outside the brain",
    "unfamiliar": "unlike the training cells of the model",
    "mixed_lineage": "genes of another lineage, as in a doublet",
}
"""Meaning of the status of cells without a label."""

_MICROGLIA, _MONOCYTE_DERIVED, _BORDER = ORIGINS
_SHOWN = 8  # names in the text of genes
_SAME_Z = 1e-3  # the tables are float32, and of the same matrix they are the same
_ENSEMBL = ("ENSG0", "ENSMUSG0")


def evidence(adata: AnnData, cell: str | int, key: str = "tam") -> pd.DataFrame:
    """Return the evidence for and against the labels of one cell.

    Parameters
    ----------
    adata
        An annotated object.
    cell
        Name of the cell, or its number.
    key
        The ``key_added`` of the run.

    Returns
    -------
    One row per signature; on each axis the label first, then by ``above_baseline``, or by ``z`` without a baseline:

    - ``axis``, ``score`` (0 to 1), ``z`` and ``p`` against the matched null (p is NaN if it cannot be computed);
    - ``baseline``: z of macrophages of this origin without the state; for microglia, the difference between their z and
      that of monocyte-derived macrophages at which the two are separated. ``above_baseline`` is z minus the baseline;
      calls use it rather than z;
    - ``probability``: of each state and origin, given that the cell is a macrophage, and of its compartment;
    - ``coverage`` (share of its genes in the data) and ``called``: whether it is the cell's label on that axis;
    - ``n_detected``: number of its genes detected in the cell, and ``genes``: the eight with the highest expression,
      with a minus for genes that count against it. Both are missing if the matrix is no longer that of the run
      (`contributions` gives the reason), or if the object was only scored.

    ``attrs["why"]`` explains for each axis in one sentence why the label does not have the highest z, or is missing.

    Raises
    ------
    ParameterError
        The cell does not exist.
    ResultNotFoundError
        The object is not annotated, or was scored without a null.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.get.evidence(adata, 0).loc["macrophage", "genes"]
    'C1QB, P2RY12, GPR34, C1QC, AIF1, C1QA, CSF1R, C3'
    """
    row, record = row_of(adata, cell), slots.read_record(adata, key)
    tables = {kind: slots.read_table(adata, key, kind).iloc[row] for kind in ("score", "z", "p")}
    known = [i for i in tables["z"].index if i in record.signatures.index]
    out = pd.DataFrame({"axis": record.signatures["axis"].astype(str)} | tables).loc[known]
    z, run, baselines = out["z"], of_one_run(adata, record, row), pd.Series(dtype=float)
    if np.isfinite(run.origin_middle) and set(ORIGINS) <= set(z.index):
        # Those of the origins, and those of the states for the likelier origin of the cell.
        brain = run.tissue is None or run.tissue.used == "brain"
        microglia = brain and z[_MICROGLIA] - z[_MONOCYTE_DERIVED] > run.origin_middle
        of_states = run.baselines[run.baselines["origin"] == (_MICROGLIA if microglia else _MONOCYTE_DERIVED)]
        baselines = pd.concat(
            [pd.Series({_MICROGLIA: run.origin_middle, _MONOCYTE_DERIVED: 0.0}), of_states["baseline"]]
        )
    out["baseline"] = baselines.reindex(out.index)
    out["above_baseline"] = out["z"] - out["baseline"]
    labels = _obs(adata, row, key, "")
    names = [slot for name in ("origin_proba", "state_proba") if (slot := slots.slot(key, name)) in adata.obsm]
    proba = [slots.read_obsm(adata, name).iloc[row].astype(float) for name in names]
    if "compartment" in labels:
        proba.append(slots.read_obs(adata, key, ("compartment_prob",)).iloc[row].set_axis([labels["compartment"]]))
    out["probability"] = pd.concat(proba).reindex(out.index) if proba else np.nan
    out["coverage"] = record.coverage["coverage"].reindex(out.index)
    out["called"] = out.index.isin(list(labels.values()))
    out = out.join(_detected(adata, row, key, list(out.index)))
    axes = {axis: i for i, axis in enumerate(dict.fromkeys(out["axis"]))}
    strength = out["above_baseline"].fillna(out["z"])
    by = out.assign(axis=out["axis"].map(axes), called=~out["called"], strength=-strength)
    out = out.loc[by.sort_values(["axis", "called", "strength"], kind="stable").index].rename_axis("signature")
    status, given = _obs(adata, row, key, "_status"), "compartment_key" in record.parameters
    out.attrs["why"] = _why(out, labels, status, given=given)
    return out


def _obs(adata: AnnData, row: int, key: str, what: str) -> dict[str, str]:
    """Return the labels of a cell by axis, or the status of them."""
    names = {axis: slots.slot(key, f"{axis}{what}") for axis in slots.AXES}
    return {axis: str(adata.obs[name].iloc[row]) for axis, name in names.items() if name in adata.obs}


def _why(table: pd.DataFrame, labels: Mapping[str, str], status: Mapping[str, str], *, given: bool) -> dict[str, str]:
    """Explain for each axis why the label does not have the highest z, or is missing; report the closest one."""
    said = {}
    for axis, label in labels.items():
        of_axis = table[table["axis"] == axis]
        above, probability = of_axis["above_baseline"], of_axis["probability"]
        text = ""
        if label in of_axis.index:
            text = _why_called(of_axis, axis, label, given=given)
        elif label == TRANSITIONAL:
            z1, z2 = (table["z"].get(arm, np.nan) for arm in ("m1", "m2"))
            text = f"transitional is called where both polarization arms are active (z of m1 {z1:.2f}, of m2 {z2:.2f})."
        elif label == UNASSIGNED and (reason := REASONS.get(status.get(axis, ""))):
            text = f"unassigned: {reason}."
            if axis != "compartment" and above.notna().any() and status[axis] == "ambiguous":
                most = " and ".join(f"{name} ({p:.2f})" for name, p in probability.nlargest(2).items())
                text += f" Most probable are {most}."
            elif axis != "compartment" and above.notna().any():
                best = str(above.idxmax())
                text += (
                    f" Furthest above its baseline is {best}, by {above[best]:.2f} (z {of_axis['z'][best]:.2f}), with "
                    f"a probability of {probability[best]:.2f}."
                )
        if text:
            said[axis] = text
    return said


def _why_called(table: pd.DataFrame, axis: str, label: str, *, given: bool) -> str:
    """Explain a label if another signature of its axis has a higher z, or is further above its baseline."""
    z, above, probability = table["z"], table["above_baseline"], table["probability"]
    rival = str(above.idxmax()) if above.notna().any() else str(z.idxmax())
    if rival == label:
        rival = str(z.idxmax())
    if rival == label:
        return ""
    larger = f"{rival} has the larger z, {z[rival]:.2f} versus {z[label]:.2f}"
    if axis == "compartment":
        if given:
            return f"{label} is the cell type from your own column; {larger}."
        sure = f"probability {probability[label]:.2f}"
        return (
            f"{label} is called by a classifier of many genes, to which the z of panels only contributes ({sure}): "
            f"{larger}."
        )
    if above[label] > above[rival]:
        base = table["baseline"]
        return (
            f"{larger}. After subtracting the baselines ({base[rival]:.2f} and {base[label]:.2f}), {label} ranks "
            f"first, {above[label]:.2f} versus {above[rival]:.2f}."
        )
    if rival == _BORDER:
        return (
            f"{larger}, which is not enough: it shares most genes with the scavenger program, so it needs a higher z "
            "and a clear lead."
        )
    return (
        f"{rival} is further above its baseline, {above[rival]:.2f} versus {above[label]:.2f}. The classifier of many "
        f"genes decided: probability {probability[label]:.2f} of {label}, "
        f"{probability[rival]:.2f} of {rival}."
    )


def _detected(adata: AnnData, row: int, key: str, signatures: list[str]) -> pd.DataFrame:
    """Return how many genes of each signature a cell shows, and the names of the strongest; missing without matrix."""
    number, text = pd.Series(pd.NA, signatures, dtype="Int64"), pd.Series(pd.NA, signatures, dtype=object)
    with suppress(ResultNotFoundError, MatrixError):  # the tables stand without the matrix
        kept = RunEvidence(adata, key, row)
        block = kept.row(row)
        values = np.bincount(block.indices, weights=block.values, minlength=kept.matrix.n_vars)
        for signature in (s for s in signatures if s in kept.axis_of):
            genes = kept.genes_of(signature)
            signs = np.where(genes.weights < 0, "−", "")
            names = [f"{sign}{name}" for sign, name in zip(signs, kept.names(genes.columns), strict=True)]
            here = sorted((-values[c], n) for c, n in zip(genes.columns, names, strict=True) if values[c] > 0)
            number[signature], text[signature] = len(here), ", ".join(n for _, n in here[:_SHOWN])
    return pd.DataFrame({"n_detected": number, "genes": text})


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
        self.of_one_run: bool = record.joined_by is None  # False for joined objects, unless it is the run of one cell
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

    def learned(self, axis: str) -> dict[str, tuple[SignedGenes, float]]:
        """Return weights and intercept of each label in a classifier; cells without it are 0, training cells 1."""
        if axis not in self._record.learned:
            return {}
        learned = self._record.learned[axis]
        return {
            str(name): (SignedGenes(learned.column, learned.weights[name].to_numpy(float)), float(intercept))
            for name, intercept in zip(learned.weights.columns, learned.intercept, strict=True)
        }

    def expression(self, block: RowBlock) -> Array:
        """Return the values of cells as the classifier saw them; without one, as `classify.expression_of` does."""
        seen = self._record.learned.get("state")
        if seen is None or seen.expression not in SCALES:
            return np.asarray(expression_of(block, self.matrix.kind, self.matrix.n_vars).data)
        return to_features(block.values, block.indptr, seen.expression, seen.base)

    def genes_of(self, signature: str) -> SignedGenes:
        """Return the genes of a signature, those of all its modules in its order, with their weights in it."""
        parts = [self._parts[p] for p in self._parts_of[signature]]
        columns = np.concatenate([p.columns for p in parts])
        weights = np.concatenate([p.weights for p in parts])
        first = np.sort(np.unique(columns, return_index=True)[1])
        return SignedGenes(columns[first], weights[first])

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
        null = np.asarray(self._record.bins if bins is None else bins, np.int32)
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

    n: Array  # cells of each label
    detected: Array  # labels × genes: share of cells with a value above 0
    mean: Array  # labels × genes
    square: Array  # labels × genes: mean of the squares

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
