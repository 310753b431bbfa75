"""A claim, the cells that it is about, and the measurements in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._samples import Samples, library_species
from tamannot.classify import expression_of
from tamannot.data import Array
from tamannot.errors import ResultNotFoundError
from tamannot.signature import GeneIndex, Signature, load_signatures

LABEL, SHARE_OF = "label:", "share:"
PANEL = "@checkpoint_ligands"
_MYELOID = ("macrophage", "monocyte", "dendritic")  # with microglia, which are macrophages, left out
RARE = 0.01  # a gene detected in a smaller share of the cells is uninformative
N_SWAPS = 20  # number of times that the genes of a claim are swapped: the minimum for a p value of 0.05


@dataclass(frozen=True)
class Claim:
    """One row of the table: a claim, and one way to test it.

    A measure (``a``, ``b``) is ``CD274`` or ``CXCL9+CXCL10`` (genes), ``@hypoxic`` (the genes of a signature),
    ``label:monocyte_derived`` (whether a cell is called so), or ``share:monocyte_derived`` (share of a sample's cells).
    """

    claim_id: str
    claim: str
    source: str
    kind: str
    a: str
    cells: str
    """Cells in which ``a`` is measured: a label, ``macrophage``, ``called_origin``, ``other_myeloid``, ``malignant``,
    ``all``, or a compartment."""
    b: str  # the other measure; of ``groups`` which samples: ``primary=breast``, ``site=margin/core``
    against: str  # cells in which ``b`` is measured, or with which those of ``cells`` are compared
    expected: str
    note: str

    @property
    def measures(self) -> list[str]:
        """The measure in the cells."""
        return [m for m in (self.a, self.b if self.kind in ("within", "across") else "") if m]

    @property
    def limits(self) -> tuple[float, float]:
        """Expected range of a share."""
        low, _, high = self.expected.partition("-")
        return float(low), float(high)


class NotMeasurableError(Exception):
    """The data lack something that a claim needs; the message is the reason."""


@dataclass(frozen=True)
class Cells:
    """The cells of an annotated object, and some of their genes."""

    samples: Samples
    labels: Mapping[str, Array]  # by axis (compartment, origin, state) the label of each cell
    malignant: Array | None
    signatures: Mapping[str, Signature]
    genes: Mapping[str, int] = field(default_factory=dict)  # of the genes that are in the data the column of ``values``
    # Of each claim its genes with the columns of others of equal expression in the same cells, `N_SWAPS` times.
    swaps: Mapping[str, list[dict[str, int]]] = field(default_factory=dict)
    values: sp.csc_matrix = field(default_factory=lambda: sp.csc_matrix((0, 0)))  # cells by genes, see `expression_of`
    n_detected: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # of each cell, of all genes
    min_cells: int = 1  # cells of a kind that a sample needs to count
    about: Mapping[str, pd.Series] = field(default_factory=dict)  # ``primary``, ``site`` of each sample, if given
    _masks: dict[str, Array] = field(default_factory=dict)

    def per_sample(self, *masks: Array) -> list[list[Array]]:
        """Return, for the samples with enough cells of every mask, the numbers of these cells."""
        codes = self.samples.codes
        found = [[np.flatnonzero(m & (codes == s)) for m in masks] for s in range(len(self.samples.names))]
        return [rows for rows in found if all(r.size >= self.min_cells for r in rows)]

    def of(self, name: str) -> Array:
        """Return a mask of the cells by this name; malignant cells are of no other kind."""
        if name not in self._masks:
            if name == "malignant" and self.malignant is None:
                raise NotMeasurableError("needs malignant cells; mark them with malignant=")
            if name == "malignant":
                mask = self.malignant
            elif name == "all":
                mask = np.ones(len(self.samples.codes), bool)
            elif name == "called_origin":
                mask = np.isin(self.labels["origin"], ["microglia", "monocyte_derived", "border_associated"])
            elif name == "other_myeloid":
                mask = np.isin(self.labels["compartment"], _MYELOID) & (self.labels["origin"] != "microglia")
            else:
                masks = [labels == name for labels in self.labels.values()]
                mask = next((m for m in masks if m.any()), masks[0])
            if self.malignant is not None and name not in ("all", "malignant"):
                mask = mask & ~self.malignant
            self._masks[name] = np.asarray(mask, bool)
        if not self._masks[name].any():
            raise NotMeasurableError(f"no cell is {name.replace('_', ' ')}")
        return self._masks[name]

    def genes_of(self, measure: str) -> list[str]:
        """Return the genes of a measure, whether in the data or not."""
        if measure.startswith((LABEL, SHARE_OF)):
            return []
        if not measure.startswith("@"):
            return measure.split("+")
        if measure[1:] not in self.signatures:
            raise NotMeasurableError(f"no signature {measure[1:]} for this species")
        return self.signatures[measure[1:]].genes_up

    def _usable(self, measure: str, where: Array, without: Sequence[str] = ()) -> list[str]:
        """Return the genes of the measure that are detected in enough of some cells."""
        genes = [g for g in self.genes_of(measure) if g not in without]
        there = [g for g in genes if g in self.genes]
        found = [g for g in there if where[self._entries(g)[0]].sum() / where.sum() >= RARE]
        if measure.startswith("@") and len(found) < 3:
            raise NotMeasurableError(f"fewer than 3 genes of {measure[1:]} are detected in {RARE:.0%} of the cells")
        if not found:
            rare = f"{', '.join(there)} detected in fewer than {RARE:.0%} of the cells"
            raise NotMeasurableError(rare if there else f"{', '.join(genes)} not in the data")
        return found

    def hits(self, measure: str, where: Array) -> Array:
        """Return for each cell whether it has the label, or any of the genes that are detected in some cells."""
        if measure.startswith((LABEL, SHARE_OF)):
            return self.of(measure.partition(":")[2])
        return np.logical_or.reduce([self.column(g) > 0 for g in self._usable(measure, where)])

    def measure(self, measure: str, where: Array, without: Sequence[str] = ()) -> Array:
        """Return a measure of each cell: the mean of its genes, each in units of its spread over some cells."""
        if measure.startswith((LABEL, SHARE_OF)):
            return self.of(measure.partition(":")[2]).astype(float)
        out = np.zeros(len(self.samples.codes))
        for gene in self._usable(measure, where, without):
            values = self.column(gene)
            out += values / max(float(values[where].std()), 1e-6)
        return out

    def column(self, gene: str) -> Array:
        """Return the expression of a gene in all cells."""
        rows, values = self._entries(gene)
        out = np.zeros(len(self.samples.codes), np.float32)
        out[rows] = values
        return out

    def _entries(self, gene: str) -> tuple[Array, Array]:
        """Return the cells in which a gene is detected, and its expression there: few, and looked at often."""
        at = self.genes[gene]
        entries = slice(self.values.indptr[at], self.values.indptr[at + 1])
        return self.values.indices[entries], self.values.data[entries]


def read_cells(adata: AnnData, key: str, claims: Sequence[Claim], samples: Samples, malignant: Array | None) -> Cells:
    """Return the cells with the genes that the claims need, and those of the panel."""
    record = slots.read_record(adata, key)
    if len(slots.read_obs(adata, key, slots.AXES).columns) < len(slots.AXES):
        raise ResultNotFoundError(
            f"The run '{key}' did not call compartment, origin and state. Run tamannot.tl.annotate(adata) first."
        )
    matrix, species = slots.matrix_of_run(adata, record), library_species(record)
    labels = {axis: slots.labels_of(adata, key, axis) for axis in slots.AXES}
    cells = Cells(samples, labels, malignant, load_signatures(species=species))
    wanted: set[str] = set()
    for measure in (*(m for c in claims for m in c.measures), PANEL):
        with suppress(NotMeasurableError):  # said where the claim is tested
            wanted.update(cells.genes_of(measure))
    # In mouse the names of the same letters, of the genes that the library knows.
    index, named = GeneIndex([str(i) for i in matrix.ids], species=species), dict[str, int]()
    known = {g.symbol: g.ensembl for s in cells.signatures.values() for g in s.all_genes}
    for name in sorted(wanted):
        symbol = name.capitalize() if species == "mouse" and name not in known else name
        if (species == "human" or symbol in known) and (column := index.find(symbol, known.get(symbol))) >= 0:
            named[name] = column
    swaps = _swaps(cells, claims, named, matrix)
    columns = np.unique([*named.values(), *(c for draws in swaps.values() for draw in draws for c in draw.values())])
    place = {int(c): i for i, c in enumerate(columns)}
    blocks, n_detected = list[sp.csr_array](), np.zeros(adata.n_obs, np.int64)
    for block, rows in matrix.blocks(np.ones(adata.n_obs, bool)):
        blocks.append(expression_of(block, matrix.kind, matrix.n_vars)[:, columns].astype(np.float32))
        n_detected[rows] = block.totals(block.values > 0)
    expression = sp.csc_matrix(sp.vstack(blocks))
    expression.eliminate_zeros()  # what is stored was detected
    return replace(
        cells,
        genes={gene: place[c] for gene, c in named.items()},
        swaps={i: [{g: place[c] for g, c in draw.items()} for draw in draws] for i, draws in swaps.items()},
        values=expression,
        n_detected=n_detected,
    )


def _swaps(
    cells: Cells, claims: Sequence[Claim], named: Mapping[str, int], matrix: slots.RunMatrix
) -> dict[str, list[dict[str, int]]]:
    """Return, by claim, its genes with the columns that stand in for them, once for each swap."""
    # By claim the cells in which each of its genes is measured, two kinds of cells as ``a|b``.
    where: dict[str, dict[str, str]] = {}
    masks: dict[str, Array] = {}
    for claim in claims:
        here = f"{claim.cells}|{claim.against}" if claim.kind == "difference" else claim.cells
        there = claim.against if claim.kind == "across" else here
        sides = [] if claim.kind in ("none", "detection") else [*zip(claim.measures, (here, there), strict=False)]
        with suppress(NotMeasurableError):  # said where the claim is tested
            genes = {g: name for measure, name in reversed(sides) for g in cells.genes_of(measure) if g in named}
            masks |= {name: np.logical_or.reduce([cells.of(n) for n in name.split("|")]) for name in genes.values()}
            where[claim.claim_id] = genes
    means = np.zeros((len(masks), matrix.n_vars))
    if masks:
        member = np.stack(list(masks.values())).astype(float)
        for block, rows in matrix.blocks(np.logical_or.reduce([*masks.values()])):
            means += member[:, rows] @ expression_of(block, matrix.kind, matrix.n_vars)
        # Rounded, so that the order of the cells does not matter.
        means = np.round(means / member.sum(axis=1, keepdims=True), 9)
    mean_in = dict(zip(masks, means, strict=True))
    ranked = {name: np.argsort(mean, kind="stable") for name, mean in mean_in.items()}
    swaps: dict[str, list[dict[str, int]]] = {}
    for claim_id, genes in where.items():
        own = {named[g] for g in genes}
        seen = {g: name for g, name in genes.items() if mean_in[name][named[g]] > 0}
        near = {g: _nearest(named[g], mean_in[name], ranked[name], own, matrix.ids) for g, name in seen.items()}
        swaps[claim_id] = []
        for number in range(N_SWAPS if near and all(near.values()) else 0):
            taken: dict[str, int] = {}
            for gene, others in near.items():  # the same one stands in for two genes only where there are too few
                rotated = others[number % len(others) :] + others[: number % len(others)]
                taken[gene] = next((c for c in rotated if c not in taken.values()), rotated[0])
            swaps[claim_id].append(taken)
    return swaps


def _nearest(column: int, mean: Array, ranked: Array, own: set[int], ids: Array) -> list[int]:
    """Return the genes nearest to one in mean, none of the claim's, in an order that only their names fix."""
    at = int(np.searchsorted(mean[ranked], mean[column]))
    reach = N_SWAPS + len(own)
    others = [int(c) for c in ranked[max(at - reach, 0) : at + reach + 1] if c not in own and mean[c] > 0]
    others = sorted(others, key=lambda c: abs(mean[c] - mean[column]))[:N_SWAPS]
    return sorted(others, key=lambda c: hashlib.blake2b(f"{ids[column]} {ids[c]}".encode()).digest())
