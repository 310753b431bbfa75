"""Contributions of genes to a call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.classify import NOT_MACROPHAGE, TRANSITIONAL, UNASSIGNED
from tamannot.data import Array
from tamannot.errors import ParameterError, ResultNotFoundError, among
from tamannot.get._evidence import RunEvidence
from tamannot.get._tables import row_of
from tamannot.scoring._rows import RowBlock

# Of some cells the mean expression of every gene of the data, and by label what its genes add to its z.
_Mean = tuple[Array, dict[str, Array]]


def contributions(
    adata: AnnData,
    cell: str | int | None = None,
    *,
    label: str | None = None,
    axis: str | None = None,
    key: str = "tam",
    n: int | None = None,
) -> pd.DataFrame:
    """Return the contributions of genes for and against a label, in one cell or in all cells with that label.

    If the state classifier includes a label, the contribution of a gene is its weight times its expression. The
    contributions of a cell and the intercept sum to the amount of the program, on a scale where training cells without
    a state are 0 and those of this state are 1. The intercept is the mean over the two origins, so the amount behind a
    call is close, but not equal, to this sum. For all other labels, the contribution of a gene is the difference of its
    rank from genes of the same expression in the reference, and the contributions sum to the cell's z in the table,
    including its sign; genes that are not detected contribute negatively. A compartment is called from the z of its
    panel and by a classifier trained on reference profiles; the contributions are to z only.

    **A contribution is neither causal importance nor a biological effect size.** Correlated genes share weight, so a
    marker may have little weight while correlated genes have more; which of them do depends on the training cells. A
    gene that is not a marker can contribute because it correlates with one in these data. Amounts of single genes are
    not comparable between cells of different depth, and a z is not comparable with an amount.

    Parameters
    ----------
    adata
        An annotated object, in memory or backed.
    cell
        Name of the cell, or its number. None: the mean of all cells called ``label`` minus the mean of the other
        macrophages (on the compartment axis: of all other cells).
    label
        Id of a signature, such as ``"lipid_associated"``; None, with a cell: all labels of the axis.
    axis
        ``"compartment"``, ``"origin"``, ``"state"``, or for a cell any axis of the tables. None: that of the label,
        else ``"state"``.
    key
        The ``key_added`` of the run.
    n
        Maximal number of genes per label; None returns all. Only all genes sum to the amount or z.

    Returns
    -------
    One row per gene and label, the cell's own label first, then the strongest, each by decreasing contribution:
    ``label``, ``of`` (``"amount"`` or ``"z"``), ``gene``, ``expression`` (``log1p`` of 10,000 per cell, also of
    logarithms whose base is recognised; of others the rank within the cell, or without a classifier the value),
    ``weight``, ``contribution``, ``in_signature``. Without a cell ``expression`` is the mean of
    the cells called so and ``expression_others`` that of the others. Genes without a contribution are left out. A
    signature with modules uses the module with the highest z in the cell. ``attrs["intercept"]`` has the intercept
    of each amount by label; z needs none, and in a difference it cancels. For a cell ``attrs["cell"]`` and
    ``attrs["called"]`` are its name and its label on the axis.

    Raises
    ------
    ParameterError
        Neither cell nor label is given, the cell, label or axis does not exist, or ``n`` is below 1.
    ResultNotFoundError
        The object is not annotated, its matrix is missing, or no cell, or every cell, has the label.
    MatrixError
        The matrix is not the one of the run: its genes or values differ.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.get.contributions(adata, 0, label="microglia", n=3)["gene"].tolist()
    ['SIGLEC8', 'P2RY12', 'GPR56']
    """
    if cell is None and label is None:
        raise ParameterError("Pass a cell, a label, or both.")
    if n is not None and n < 1:
        raise ParameterError(f"n must be at least 1, not {n}.")
    row = None if cell is None else row_of(adata, cell)
    kept = RunEvidence(adata, key, row)
    axis = _axis(kept, label, axis)
    labels = kept.labels(axis) if label is None else [label]
    called = others = None
    if row is None:
        here, others = _means_of_called(adata, kept, key, axis, labels)
    else:
        here, name = _mean([kept.row(row)], kept, axis, labels), slots.slot(key, axis)
        called = str(adata.obs[name].iloc[row]) if name in adata.obs else None
    tables = {name: _table_of(kept, axis, name, here, others) for name in labels}
    strength = {name: table["contribution"].sum() + (intercept or 0.0) for name, (table, intercept) in tables.items()}
    # The called label, then amounts before z, the strongest first.
    order = sorted(labels, key=lambda name: (name != called, tables[name][1] is None, -strength[name]))
    out = pd.concat([tables[name][0].iloc[:n] for name in order], ignore_index=True)
    out.attrs["intercept"] = {name: tables[name][1] for name in order if tables[name][1] is not None}
    if row is not None:
        out.attrs |= {"cell": str(adata.obs_names[row]), "called": called}
    return out


def _axis(kept: RunEvidence, label: str | None, axis: str | None) -> str:
    if label == TRANSITIONAL:
        raise ParameterError(
            f"'{label}' is not a program with its own genes: it is called where m1 and m2 are both active. Use these "
            "labels, with a cell."
        )
    if label in (UNASSIGNED, NOT_MACROPHAGE):
        raise ParameterError(
            f"'{label}' is not a program with its own genes. Leave out label= to see all labels of a cell."
        )
    if label is not None and label not in kept.axis_of:
        raise ParameterError(f"No label '{label}'.{among(label, kept.axis_of)}")
    of_label = kept.axis_of.get(label or "", "state")
    if axis is not None and axis not in kept.axis_of.values():
        raise ParameterError(f"axis must be one of {', '.join(dict.fromkeys(kept.axis_of.values()))}, not {axis!r}.")
    if axis is not None and label is not None and axis != of_label:
        raise ParameterError(f"'{label}' is on the axis {of_label}, not {axis}. Leave out axis=.")
    return axis or of_label


def _means_of_called(
    adata: AnnData, kept: RunEvidence, key: str, axis: str, labels: Sequence[str]
) -> tuple[_Mean, _Mean]:
    label = labels[0]
    if axis not in slots.AXES:
        raise ParameterError(f"No cell is called '{label}', as the axis {axis} has no labels. Pass a cell as well.")
    column = slots.labels_of(adata, key, axis)
    here = column == label
    others = ~here & (column != NOT_MACROPHAGE)
    if not (here.any() and others.any()):
        how = "No cell is" if not here.any() else "Every cell is"
        names = ", ".join(str(v) for v in pd.unique(column[column != NOT_MACROPHAGE]))
        raise ResultNotFoundError(
            f"{how} called '{label}', so there is nothing to compare. Labels of {axis}: {names or 'none'}."
        )
    kept.row(int(np.argmax(here)))  # the matrix is the one that the run saw
    means = [_mean((block for block, _ in kept.matrix.blocks(rows)), kept, axis, labels) for rows in (here, others)]
    return means[0], means[1]


def _mean(blocks: Iterable[RowBlock], kept: RunEvidence, axis: str, labels: Sequence[str]) -> _Mean:
    n_cells, expression, learned = 0, np.zeros(kept.matrix.n_vars), kept.learned(axis)
    added = {name: np.zeros(kept.genes_of(name).columns.size) for name in labels if name not in learned}
    for block in blocks:
        n_cells += block.indptr.size - 1
        values = kept.expression(block)
        expression += np.bincount(block.indices, weights=values, minlength=expression.size)
        for name, of_cells in zip(added, kept.added_to_z(block, axis, list(added)), strict=True):
            added[name] += of_cells.sum(axis=0)
    return expression / n_cells, {name: total / n_cells for name, total in added.items()}


def _table_of(
    kept: RunEvidence, axis: str, label: str, here: _Mean, others: _Mean | None
) -> tuple[pd.DataFrame, float | None]:
    """Return the genes of a label by decreasing contribution, and the intercept of an amount; z has none."""
    own, (expression, added_to_z), learned = kept.genes_of(label), here, kept.learned(axis)
    if label in learned:
        (genes, intercept), of = learned[label], "amount"
        added = genes.weights * (expression - (0.0 if others is None else others[0]))[genes.columns]
        intercept = intercept if others is None else 0.0
    else:
        genes, of, intercept = own, "z", None
        added = added_to_z[label] - (0.0 if others is None else others[1][label])
    some = np.flatnonzero(added)
    columns = genes.columns[some]
    found = {
        "label": label,
        "of": of,
        "gene": kept.names(columns),
        "expression": expression[columns],
        "weight": genes.weights[some],
        "contribution": added[some],
        "in_signature": np.isin(columns, own.columns),
    }
    table = pd.DataFrame(found)
    if others is not None:
        table.insert(4, "expression_others", others[0][columns])
    # ties by name, so that no order of genes shows
    return table.iloc[np.lexsort((table["gene"].to_numpy(str), -np.abs(added[some])))], intercept
