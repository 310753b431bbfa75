"""Cells of the claims, and what is measured in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray

import tamannot._adata as slots
from tamannot.errors import ResultNotFoundError
from tamannot.genes import GeneIndex
from tamannot.signature import Signature, load_signatures
from tamannot.tl._claim_table import Claim
from tamannot.tl._genes import some_genes
from tamannot.tl._samples import Samples

Array = NDArray[Any]

LABEL, SHARE_OF = "label:", "share:"
# Cells that are neither microglia nor anything but myeloid.
_MYELOID = ("macrophage", "monocyte", "dendritic")
# A gene in a smaller share of the cells says nothing of them.
RARE = 0.01


class NotMeasurableError(Exception):
    """What a claim needs is not in the data; the message is the reason."""


@dataclass
class Cells:
    """The cells of an annotated object, and some of their genes."""

    samples: Samples
    labels: Mapping[str, Array]
    """By axis (compartment, origin, state) the label of each cell."""
    malignant: Array | None
    genes: Mapping[str, int]
    """Of the genes that are in the data the column of ``values``."""
    signatures: Mapping[str, Signature]
    values: sp.csc_matrix
    """Cells by genes, ``log1p`` of 10,000 per cell."""
    n_detected: Array
    """Genes that are detected in each cell, of all."""
    _masks: dict[str, Array] = field(default_factory=dict)

    def of(self, name: str) -> Array:
        """Return a mask of the cells by this name.

        Raises
        ------
        NotMeasurableError
            There are none.
        """
        if name not in self._masks:
            self._masks[name] = self._find(name)
        mask = self._masks[name]
        if not mask.any():
            msg = f"no cell is {name.replace('_', ' ')}"
            raise NotMeasurableError(msg)
        return mask

    def _find(self, name: str) -> Array:
        if name == "all":
            return np.ones(len(self.samples.codes), bool)
        if name == "malignant":
            if self.malignant is None:
                msg = "needs malignant cells; say which they are by malignant="
                raise NotMeasurableError(msg)
            return self.malignant
        axis = next((a for a, labels in self.labels.items() if name in self._names[a] and len(labels)), None)
        if name == "called_origin":
            mask = np.isin(self.labels["origin"], ["microglia", "monocyte_derived", "border_associated"])
        elif name == "other_myeloid":
            mask = np.isin(self.labels["compartment"], _MYELOID) & (self.labels["origin"] != "microglia")
        else:
            mask = self.labels[axis] == name if axis else np.zeros(len(self.samples.codes), bool)
        return np.asarray(mask if self.malignant is None else mask & ~self.malignant, bool)

    @cached_property
    def _names(self) -> dict[str, set[str]]:
        return {axis: set(labels.tolist()) for axis, labels in self.labels.items()}

    def genes_of(self, measure: str) -> list[str]:
        """Return the genes of a measure, whether in the data or not.

        Raises
        ------
        NotMeasurableError
            There is no such signature for the species.
        """
        if measure.startswith((LABEL, SHARE_OF)):
            return []
        if not measure.startswith("@"):
            return measure.split("+")
        if measure[1:] not in self.signatures:
            msg = f"there is no signature {measure[1:]} for this species"
            raise NotMeasurableError(msg)
        return [g.symbol for g in self.signatures[measure[1:]].all_genes if g.direction == "up"]

    def usable(self, measure: str, where: Array, without: Sequence[str] = ()) -> list[str]:
        """Return those of its genes that are detected in enough of some cells.

        Raises
        ------
        NotMeasurableError
            None is, or of a signature fewer than three.
        """
        genes = [g for g in self.genes_of(measure) if g not in without]
        there = [g for g in genes if g in self.genes]
        found = [g for g in there if self.share_detected(g, where) >= RARE]
        least = 3 if measure.startswith("@") else 1
        if len(found) < least:
            msg = _missing(measure, genes, there)
            raise NotMeasurableError(msg)
        return found

    def share_detected(self, gene: str, where: Array) -> float:
        """Return in which share of some cells a gene is detected."""
        at = self.genes[gene]
        rows = self.values.indices[self.values.indptr[at] : self.values.indptr[at + 1]]
        return float(where[rows].sum() / where.sum())

    def hits(self, genes: Sequence[str]) -> Array:
        """Return of each cell whether any of these genes is detected in it."""
        return np.logical_or.reduce([self._column(g) > 0 for g in genes])

    def measure(self, measure: str, where: Array, without: Sequence[str] = ()) -> Array:
        """Return a measure of each cell: the mean of its genes, each in units of its spread over some cells.

        Raises
        ------
        NotMeasurableError
            Its genes are not detected there.
        """
        if measure.startswith((LABEL, SHARE_OF)):
            return self.of(measure.partition(":")[2]).astype(float)
        out = np.zeros(len(self.samples.codes))
        for gene in self.usable(measure, where, without):
            values = self._column(gene)
            out += values / max(float(values[where].std()), 1e-6)
        return out

    def _column(self, gene: str) -> Array:
        at = self.genes[gene]
        entries = slice(self.values.indptr[at], self.values.indptr[at + 1])
        out = np.zeros(self.values.shape[0], np.float32)
        out[self.values.indices[entries]] = self.values.data[entries]
        return out


def read_cells(
    adata: AnnData, key: str, claims: Sequence[Claim], panel: Sequence[str], samples: Samples, malignant: Array | None
) -> Cells:
    """Return the cells with the genes that the claims need, and those of the signatures in ``panel``.

    Raises
    ------
    ResultNotFoundError
        Compartment, origin or state were not called, or the matrix is gone.
    MatrixError
        The matrix is not the one that the run saw.
    """
    record = slots.read_record(adata, key)
    axes = ("compartment", "origin", "state")
    called = slots.read_obs(adata, key, axes)
    if len(called.columns) < len(axes):
        msg = f"The run '{key}' did not call compartment, origin and state. Run tamannot.tl.annotate(adata) first."
        raise ResultNotFoundError(msg)
    matrix = slots.matrix_of_run(adata, record)
    species = "mouse" if record.matrix.species == "mouse" else "human"
    cells = Cells(
        samples,
        {axis: called[slots.slot(key, axis)].astype(str).to_numpy(object) for axis in axes},
        malignant,
        {},
        load_signatures(species=species),
        sp.csc_matrix((0, 0)),
        np.zeros(adata.n_obs, np.int64),
    )
    wanted = _wanted(cells, [*(m for c in claims for m in c.measures), *(f"@{p}" for p in panel)])
    named = _columns(cells.signatures, wanted, GeneIndex([str(i) for i in matrix.ids], species=species), species)
    columns = np.array(list(dict.fromkeys(named.values())), np.int64)
    place = {int(c): i for i, c in enumerate(columns)}
    cells.genes = {gene: place[c] for gene, c in named.items()}
    blocks = []
    for some in some_genes(matrix, columns, np.ones(adata.n_obs, bool)):
        blocks.append(sp.csr_matrix(some.values))
        cells.n_detected[some.rows] = some.n_detected
    cells.values = sp.csc_matrix(sp.vstack(blocks)) if blocks else sp.csc_matrix((0, columns.size))
    return cells


def _wanted(cells: Cells, measures: Sequence[str]) -> set[str]:
    out: set[str] = set()
    for measure in measures:
        try:
            out.update(cells.genes_of(measure))
        except NotMeasurableError:  # said where the claim is tested
            continue
    return out


def _columns(signatures: Mapping[str, Signature], wanted: set[str], index: GeneIndex, species: str) -> dict[str, int]:
    """Return the columns of genes; in mouse by the name of the same letters, if the library knows that gene."""
    known = {g.symbol: g for s in signatures.values() for g in s.all_genes}
    found = {}
    for name in sorted(wanted):
        symbol = name.capitalize() if species == "mouse" and name not in known else name
        if species == "mouse" and symbol not in known:
            continue
        column = index.find(symbol, known[symbol].ensembl if symbol in known else None)
        if column >= 0:
            found[name] = column
    return found


def _missing(measure: str, genes: Sequence[str], there: Sequence[str]) -> str:
    if measure.startswith("@"):
        return f"fewer than 3 genes of {measure[1:]} are detected in {RARE:.0%} of the cells"
    if not there:
        return f"{', '.join(genes)} not in the data"
    return f"{', '.join(there)} detected in fewer than {RARE:.0%} of the cells"
