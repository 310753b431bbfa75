"""``tl.ferroptosis_summary``: ferroptosis programs by sample and label, with the sample as the unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis import _samples
from tamannot.analysis._samples import FEW_GENES, MALIGNANT, Groups, Malignant
from tamannot.classify import SUMMARIES, UNASSIGNED
from tamannot.data import Array, RunMatrix, RunRecord
from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.stats._means import MIN_SAMPLES, benjamini_hochberg, means_by_region, over_samples

_HARDLY = 0.01
THEMES: Mapping[str, Mapping[str, int]] = {
    "iron": {"iron_uptake": 1, "iron_storage": 1, "iron_export": 1, "ferritinophagy": 1, "heme_iron_recycling": 1},
    "glutathione": {"cystine_gsh": 1, "gpx4_axis": 1},
    "pufa": {"pufa_pl_synthesis": 1, "mufa_protection": -1},
    "lipid_peroxide": {"lipid_peroxidation_enzymes": 1, "lipid_peroxide_detox": -1},
}
"""The mean z of some programs, those with -1 counted against. Each program is in one theme at most."""
# The effect of a high value on the cell itself and on its neighbours.
_EFFECTS = {
    "iron": ("context", "context"),
    "glutathione": ("restrains", "context"),
    "pufa": ("drives", "none"),
    "lipid_peroxide": ("drives", "context"),
}


def ferroptosis_summary(
    adata: AnnData,
    sample_key: str,
    *,
    groupby: str | Sequence[str] = "state",
    malignant: Malignant | None = None,
    min_cells: int = 10,
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Summarise the ferroptosis programs by sample and label, and compare labels within samples.

    Most programs rely on few detected genes, so they are summarised over the cells of a sample and a label, not read
    cell by cell. Labels are compared by their mean z within each sample, and the sample is the unit.

    Parameters
    ----------
    adata
        An annotated object with the matrix that was annotated.
    sample_key
        Column of ``obs`` with the sample.
    groupby
        ``"state"``, ``"origin"``, ``"compartment"``, or any column of ``obs``; several are crossed. Only macrophages
        are grouped, unless ``"compartment"`` is included: then all cells are.
    malignant
        Which cells are malignant, from your own annotation: a boolean column, or ``(column, values)``. They get their
        own label. None: there is no such label; malignancy is never inferred.
    min_cells
        Number of cells with the label, and of cells without it, that a sample needs for the comparison.
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"]["{key}"]["ferroptosis_summary"]`` (see `get.ferroptosis`):
    ``samples``, ``effects``, ``genes``, ``cautions`` and the parameters.

    Raises
    ------
    ParameterError
        A column is missing, there are no samples or no macrophages, or ``min_cells`` is below 1.
    ResultNotFoundError
        The programs were not scored, or the matrix is missing.
    MatrixError
        The matrix is not the one that was annotated.

    Notes
    -----
    Drive, defence and balance describe capacity: in cells that did undergo ferroptosis, balance mostly fell (see
    `ferroptosis` for numbers).

    Limits. No value measures death, lipid peroxides or labile iron: only transcripts are measured, and FTH1, FTL and
    TFRC are controlled by translation and decay, GPX4 by selenium. An effect on the cell itself can be the opposite of
    that on its neighbours. z of cells other than macrophages uses genes matched in macrophages: compare a compartment
    between samples rather than with other compartments. A difference between labels that were called from genes of the
    same program is circular: ``shared_genes`` names these genes.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.tl.ferroptosis_summary(adata, "patient")
    >>> rows = tam.get.ferroptosis(adata)
    >>> int(rows.loc[rows["program"] == "iron_export", "n_cells"].sum())
    19
    """
    if min_cells < 1:
        raise ParameterError(f"min_cells must be at least 1, not {min_cells}.")
    record = slots.read_record(adata, key)
    programs, samples = _programs_of(record), _samples.samples_of(adata, sample_key)
    chosen = None if malignant is None else _samples.malignant_cells(adata, malignant)
    groups = _samples.groups_of(adata, key, groupby, chosen, samples)
    z = slots.read_table(adata, key, "z")[list(programs.signs.index)].to_numpy(np.float32)
    z = z @ programs.signs.to_numpy(np.float32)
    means, n = means_by_region(z, groups.codes, samples.codes, len(groups.labels), len(samples.names))
    detected, genes = _detection(slots.matrix_of_run(adata, record), programs, groups)
    effects = _effects(groups, means, n, programs, min_cells)
    out = {
        "sample_key": sample_key,
        "groupby": groups.by,
        "malignant": groups.malignant,
        "min_cells": min_cells,
        "samples": _samples_table(groups, means, n, detected, programs),
        "effects": effects,
        "genes": genes,
        "cautions": _cautions(groups, effects, genes),
    }
    target = slots.to_work_on(adata, copy=copy)
    slots.write_analysis(target, key, "ferroptosis_summary", out, of=groups.by)
    return target if copy else None


@dataclass(frozen=True)
class Programs:
    """The programs, the signed summaries of all of them, and the themes, in this order."""

    table: pd.DataFrame  # by program: ``kind`` (program, summary, theme), ``effect_self``, ``effect_neighbour``
    signs: pd.DataFrame  # ids with a z by programs, their share in each mean: the identity; of themes with signs
    genes: pd.DataFrame  # ``signature``, ``gene``, ``column`` of all signatures of the run


def _programs_of(record: RunRecord) -> Programs:
    known = record.ferroptosis[["effect_self", "effect_neighbour"]].astype(str)
    programs = known[~known.index.isin(SUMMARIES)].assign(kind="program")
    summaries = known[known.index.isin(SUMMARIES)].assign(kind="summary")
    whole = {name: signs for name, signs in THEMES.items() if set(signs) <= set(programs.index)}
    themes = pd.DataFrame([(*_EFFECTS[t], "theme") for t in whole], index=list(whole), columns=programs.columns)
    table = pd.concat([programs, summaries, themes])
    with_z = [*programs.index, *summaries.index]
    signs = pd.DataFrame(np.eye(len(with_z), len(table)), index=with_z, columns=table.index)
    for theme, parts in whole.items():
        signs.loc[list(parts), theme] = np.array(list(parts.values())) / len(parts)
    if not record.has("evidence"):
        raise ResultNotFoundError(
            "The run has no record of the genes of its signatures: it was written by tamannot.tl.score, or by an older "
            "release. Run tamannot.tl.annotate(adata)."
        )
    of_parts = record.evidence.genes.rename_axis("gene").reset_index()
    genes = record.evidence.parts["part"].rename_axis("signature").reset_index().merge(of_parts, on="part")
    genes = genes[["signature", "gene", "column"]].astype({"signature": str, "gene": str})
    return Programs(table, signs, genes.drop_duplicates(["signature", "column"], ignore_index=True))


def _detection(matrix: RunMatrix, programs: Programs, groups: Groups) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the number of detected genes per program by sample and label, and the share per gene by label."""
    names, genes = list(programs.table.index), programs.genes
    genes = genes[genes["signature"].isin(programs.signs.index)]
    columns = np.unique(genes["column"].to_numpy(np.int64))
    members = np.zeros((columns.size, len(names)), np.float32)
    for at, name in enumerate(names):
        own = genes.loc[genes["signature"].isin(list(THEMES.get(name, (name,)))), "column"]
        members[np.searchsorted(columns, own.to_numpy(np.int64)), at] = 1
    sample, every = groups.samples.codes, np.arange(len(groups.labels))
    kept = (groups.codes >= 0) & (sample >= 0)
    counts = np.zeros((kept.size, len(names)), np.uint8)
    hits = np.zeros((every.size, columns.size))
    for rows, values in _samples.some_genes(matrix, columns, kept):
        there = (values > 0).astype(np.float32)
        counts[rows] = np.minimum(there @ members, 255)
        hits += (groups.codes[rows] == every[:, None]).astype(np.float32) @ there
    cell = (sample * every.size + groups.codes)[kept]
    by_cell = pd.DataFrame(counts[kept], columns=names).groupby(cell)
    few = pd.DataFrame(counts[kept] < FEW_GENES, columns=names).groupby(cell)
    found = pd.concat({"n_genes_detected": by_cell.median(), "low_signal": few.mean()}, axis=1)
    genes = genes[genes["signature"].map(programs.table["kind"]) == "program"].rename(columns={"signature": "program"})
    at_gene = np.searchsorted(columns, genes["column"].to_numpy(np.int64))
    n = np.bincount(groups.codes[kept], minlength=every.size)
    tables = [
        genes[["program", "gene"]].assign(label=label, n_cells=n[i], share_detected=hits[i, at_gene] / max(n[i], 1))
        for i, label in enumerate(groups.labels)
    ]
    table = pd.concat(tables, ignore_index=True)
    table["hardly_detected"] = table["share_detected"] < _HARDLY
    return found, table[["label", "program", "gene", "n_cells", "share_detected", "hardly_detected"]]


def _samples_table(groups: Groups, means: Array, n: Array, detected: pd.DataFrame, programs: Programs) -> pd.DataFrame:
    """Return one row per sample, label and program with cells."""
    sample, label = np.divmod(detected.index.to_numpy(int), len(groups.labels))
    n_programs = len(programs.table)
    rows = pd.concat([programs.table.rename_axis("program").reset_index()] * len(sample), ignore_index=True)
    rows = rows.assign(
        sample=np.repeat(np.array(groups.samples.names, object)[sample], n_programs),
        label=np.repeat(np.array(groups.labels, object)[label], n_programs),
        z=means[sample, label].ravel(),
        n_cells=np.repeat(n[sample, label], n_programs),
        n_genes_detected=detected["n_genes_detected"].to_numpy(float).ravel(),
        low_signal=detected["low_signal"].to_numpy(float).ravel(),
    )
    order = ["sample", "label", "program", "kind", "z", "n_cells", "n_genes_detected", "low_signal"]
    return rows[[*order, "effect_self", "effect_neighbour"]]


def _effects(groups: Groups, means: Array, n: Array, programs: Programs, min_cells: int) -> pd.DataFrame:
    """Return the difference of each label from the others, and the genes that its calls and the program share."""
    n, tables = n.astype(float), []
    whom = "cells" if "compartment" in groups.by else "macrophages"
    sums = np.nan_to_num(means) * n[:, :, None]
    for i, label in enumerate(groups.labels):
        rest = [j for j, other in enumerate(groups.labels) if j != i and other != MALIGNANT]
        n_rest = n[:, rest].sum(axis=1)
        there = (n[:, i] >= min_cells) & (n_rest >= min_cells)
        others = sums[there][:, rest].sum(axis=1) / n_rest[there, None]
        found = over_samples(means[there, i] - others)
        of_label = {
            "label": label,
            "program": list(programs.table.index),
            "kind": programs.table["kind"].to_numpy(),
            "against": whom if label == MALIGNANT else f"other {whom}",
            "difference": found.mean,
            **{name: getattr(found, name) for name in ("low", "high", "hedges_g", "p")},
            "q": np.nan,
            "n_samples": found.n,
            "n_same_direction": found.n_same,
        }
        tables.append(pd.DataFrame(of_label))
    table = pd.concat(tables)
    # Cells without a label are mostly the shallow ones.
    table = table[table["label"] != UNASSIGNED].reset_index(drop=True)
    table["q"] = benjamini_hochberg(table["p"].to_numpy(float))
    of = {str(i): set(g) for i, g in programs.genes.groupby("signature")["gene"]}
    shared = []
    for program, label in zip(table["program"], table["label"], strict=True):
        genes = set().union(*(of.get(name, set()) for name in THEMES.get(program, (program,))))
        called_from = set().union(*(of.get(name, set()) for name in label.split(" | ")))
        shared.append(", ".join(sorted(genes & called_from)))
    effects = programs.table[["effect_self", "effect_neighbour"]]
    return table.merge(effects, left_on="program", right_index=True).assign(shared_genes=shared)


def _cautions(groups: Groups, effects: pd.DataFrame, genes: pd.DataFrame) -> list[str]:
    said = []
    if few := sorted(set(effects.loc[effects["n_samples"] < MIN_SAMPLES, "label"])):
        said.append(f"Fewer than {MIN_SAMPLES} samples have enough cells of {', '.join(few)}: these have no interval.")
    hardly = genes.groupby("gene")["share_detected"].max()
    if (silent := int((hardly < _HARDLY).sum())) > 0:
        said.append(
            f"{silent} of {len(hardly)} genes of the programs are detected in fewer than 1 % of the cells of every "
            "label; see the table of genes."
        )
    if groups.malignant or "compartment" in groups.by:
        said.append("z of cells other than macrophages is computed against genes matched in macrophages.")
    if shared := sorted(set(effects.loc[effects["shared_genes"] != "", "label"])):
        said.append(f"Some programs share genes with the calls of {', '.join(shared)}: see shared_genes.")
    return said
