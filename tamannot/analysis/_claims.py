"""``tl.claims``: tests the claims of two reviews about macrophages, with the sample as the unit."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._resources import resource_path
from tamannot.analysis._claim_cells import PANEL, Cells, Claim, read_cells
from tamannot.analysis._claim_tests import SUPPORTED, check_claim
from tamannot.analysis._samples import Malignant, malignant_cells, samples_of, table_of_samples
from tamannot.errors import InputFileError, ParameterError, among
from tamannot.stats._means import MIN_SAMPLES, over_samples

OfSamples: TypeAlias = str | tuple[str, Mapping[str, str]]  # a column of obs, or a column and ``{your word: ours}``
_FEW_GENES = 1000  # with a small panel of genes, depth is not a useful covariate
_SIGNED = ("positive", "negative")
# Of each kind the fields that it needs, and the values of `expected`; of a share a range.
_KINDS = {
    "none": (("note",), ("",)),
    "within": (("a", "cells", "b"), _SIGNED),
    "across": (("a", "cells", "b", "against"), _SIGNED),
    "difference": (("a", "cells", "against"), _SIGNED),
    "detection": (("a", "cells"), ("detected",)),
    "share": (("a", "cells"), ("0.3-0.5",)),
    "groups": (("a", "cells", "b"), _SIGNED),
}


def claims(
    adata: AnnData,
    sample_key: str,
    *,
    malignant: Malignant | None = None,
    primary: OfSamples | None = None,
    site: OfSamples | None = None,
    table: str | os.PathLike[str] | None = None,
    min_cells: int = 20,
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Test the claims of two reviews on the data: supported, not supported, detected, or inconclusive.

    Each claim is a row of a table that names the genes or programs, the cells to compare, and the expected direction.
    The statistic is computed for each sample, and the interval is over samples: fewer than three samples (five for a
    correlation across samples) are inconclusive, however many cells they have. Each claim is also compared with
    random genes: twenty times, each of its genes is replaced by one of equal mean expression in the same cells, and
    the claim is inconclusive unless its result is more extreme than all twenty.

    Parameters
    ----------
    adata
        An annotated object with the matrix that was annotated.
    sample_key
        Column of ``obs`` with the sample. Use the patient if a patient has several samples.
    malignant
        Which cells are malignant, from your own annotation: a boolean column, or ``(column, values)``. If None, claims
        about malignant cells are not measurable; malignancy is never inferred.
    primary
        Column with the primary tumour of each sample, as text that contains ``breast``, ``lung`` or ``melanoma``, or
        ``(column, {your word: ours})``.
    site
        Column with the site of each sample, as text that contains ``margin``, ``core`` or ``leptomeningeal``. It is
        never inferred from expression.
    table
        Your own table of claims, with the columns of the bundled one; None uses the bundled table.
    min_cells
        Number of the relevant cells that a sample needs to count for a claim.
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"]["{key}"]["claims"]`` (read them with `get.claims`):
    ``claims``, ``detection``, ``cautions`` and the parameters.

    Raises
    ------
    ParameterError
        A column is missing or varies within samples, the table is not valid, or ``min_cells`` is below 4.
    InputFileError
        The table does not exist.
    ResultNotFoundError, MatrixError
        The object is not annotated, or its matrix is missing or not the one that was annotated.

    Notes
    -----
    Limits of the verdicts. *Supported* means that transcripts of these samples change in the claimed direction, not
    that the mechanism is right: RNA shows neither secretion nor killing. *Not supported* means the same for the other
    direction. *Detected* only means that the genes are detected, which may be ambient RNA. Labels are also called
    from genes; genes that two measures share are counted on one side only, but correlated genes are not removed. The
    intervals are not corrected for the number of claims: the cautions state how many would be supported with swapped
    genes. A claim about shares of called cells has no genes to swap and relies on its interval alone.

    Examples
    --------
    >>> import tamannot as tam
    >>> adata = tam.datasets.oligodendroglioma()
    >>> tam.tl.annotate(adata, tissue="brain")
    >>> tam.tl.claims(adata, "patient", min_cells=4)
    >>> found = tam.get.claims(adata).set_index("claim_id")
    >>> found.loc["33", ["verdict", "reason"]].tolist()
    ['not measurable', 'the RNA of cells does not show exosomes']
    """
    if min_cells < 4:
        raise ParameterError(f"min_cells must be at least 4, the minimum for a correlation, not {min_cells}.")
    rows = read_claims(table)
    samples = samples_of(adata, sample_key)
    columns, about = {"primary": "", "site": ""}, dict[str, pd.Series]()
    for name, given in (("primary", primary), ("site", site)):
        if given:
            columns[name], ours = given if isinstance(given, tuple) else (given, {})
            words = table_of_samples(adata, samples, [columns[name]])[columns[name]].astype(str)
            if unknown := sorted(set(ours) - set(words)):
                known = among(unknown[0], sorted(set(words)))
                raise ParameterError(f"obs['{columns[name]}'] has no value {', '.join(unknown)}.{known}")
            about[name] = words.replace(dict(ours))
    chosen = None if malignant is None else malignant_cells(adata, malignant)
    cells = replace(read_cells(adata, key, rows, samples, chosen), min_cells=min_cells, about=about)
    about_claim = ("claim_id", "claim", "source", "kind", "expected")
    result = pd.DataFrame(
        {name: getattr(claim, name) for name in about_claim}
        | asdict(check_claim(claim, cells))
        | {"note": claim.note if claim.kind != "none" else ""}
        for claim in rows
    )
    record = {
        "sample_key": sample_key,
        "malignant": malignant is not None,
        **columns,
        "table": "bundled" if table is None else str(table),
        "min_cells": min_cells,
        "n_samples": len(samples.names),
        "claims": result,
        "detection": pd.DataFrame(_detection(cells), columns=_DETECTION),
        "cautions": _cautions(cells, result),
    }
    target = slots.to_work_on(adata, copy=copy)
    slots.write_analysis(target, key, "claims", record)
    return target if copy else None


def read_claims(path: str | os.PathLike[str] | None = None) -> list[Claim]:
    """Read a tab-separated table of claims; None reads the bundled one."""
    path = Path(path) if path is not None else resource_path("signatures") / "claims.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"Cannot read the table of claims '{path}': {error}.") from error
    names = [f.name for f in fields(Claim)]
    if not rows or rows[0] != names:
        raise ParameterError(
            f"'{path}' is not a table of claims: its header must be {', '.join(names)}, separated by tabs."
        )
    claims = list[Claim]()
    for i, row in enumerate(rows[1:], 2):
        where = f"'{path}', line {i}"
        if len(row) != len(names):
            raise ParameterError(f"{where}: {len(row)} fields instead of {len(names)}.")
        claim = Claim(*(field.strip() for field in row))
        if claim.kind not in _KINDS:
            raise ParameterError(f"{where}: kind must be one of {', '.join(_KINDS)}, not {claim.kind!r}.")
        needed, expected = _KINDS[claim.kind]
        if empty := [n for n in ("claim_id", "claim", "source", *needed) if not getattr(claim, n)]:
            raise ParameterError(f"{where}: a claim of kind {claim.kind} needs {', '.join(empty)}.")
        fits = claim.expected in expected
        if claim.kind == "share":
            with suppress(ValueError):
                low, high = claim.limits
                fits = 0 <= low < high <= 1
        if not fits:
            raise ParameterError(f"{where}: expected must be {' or '.join(expected)}, not {claim.expected!r}.")
        claims.append(claim)
    ids = [claim.claim_id for claim in claims]
    if twice := {i for i in ids if ids.count(i) > 1}:
        raise ParameterError(
            f"'{path}' has the claim {', '.join(sorted(twice))} more than once; each claim_id must be unique."
        )
    return claims


_DETECTION = ["gene", "origin", "state", "n_cells", "n_detected", "share_detected", "mean", "low", "high", "n_samples"]


def _detection(cells: Cells) -> Iterator[tuple[Any, ...]]:
    """Yield the number of macrophages that express each gene of the panel, by origin and state."""
    macrophage = cells.labels["compartment"] == "macrophage"
    if cells.malignant is not None:
        macrophage = macrophage & ~cells.malignant
    hits = {g: cells.column(g) > 0 for g in cells.genes_of(PANEL) if g in cells.genes}
    codes, n_samples = cells.samples.codes, len(cells.samples.names)
    origins, states = (["all", *sorted(set(cells.labels[axis][macrophage]))] for axis in ("origin", "state"))
    for origin, state in product(origins, states):
        here = macrophage & (codes >= 0)
        for axis, label in (("origin", origin), ("state", state)):
            here = here & (True if label == "all" else cells.labels[axis] == label)
        n = np.bincount(codes[here], minlength=n_samples)
        if not n.any():
            continue
        enough = n >= cells.min_cells
        for gene, hit in hits.items():
            k = np.bincount(codes[here & hit], minlength=n_samples)
            over = over_samples(k[enough] / n[enough])
            share, low, high = k.sum() / n.sum(), max(over.low, 0.0), min(over.high, 1.0)
            yield (gene, origin, state, int(n.sum()), int(k.sum()), share, over.mean, low, high, over.n)


def _cautions(cells: Cells, result: pd.DataFrame) -> list[str]:
    said = []
    if (n := len(cells.samples.names)) < MIN_SAMPLES:
        said.append(f"{n} sample{'s' * (n > 1)}: no claim can be tested; at least {MIN_SAMPLES} samples are needed.")
    against = result[result["n_swaps"] > 0]
    if len(against):
        n_supported = int((against["verdict"] == SUPPORTED).sum())
        said.append(
            f"{n_supported} of {len(against)} claims with genes to swap are supported; with every gene replaced by one "
            f"of equal expression, {against['swapped_supported'].sum():.1f} would be."
        )
    if (unknown := int((cells.labels["origin"] == "unassigned").sum())) > 0:
        macrophages = int((cells.labels["compartment"] == "macrophage").sum())
        said.append(
            f"{unknown} of {macrophages} macrophages have no called origin and are left out of comparisons of origins."
        )
    if cells.n_detected.size and np.median(cells.n_detected) < _FEW_GENES:
        said.append("Few genes are detected per cell: a gene that is not detected may still be expressed.")
    said.append(
        "CST3, CD74 and LGALS1 are constitutive in myeloid cells: their expression in macrophages is not informative."
    )
    return said
