"""Which compartment a cell belongs to: the fixed rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats

from tamannot.classify._call import (
    ASSIGNED,
    FEW_GENES,
    LOW_COVERAGE,
    LOW_SIGNAL,
    PRESENT_P,
    UNASSIGNED,
    Array,
    Call,
    below,
)
from tamannot.errors import ParameterError
from tamannot.scorers import NullScores

MACROPHAGE = "macrophage"
# Monocytes and dendritic cells share most of a macrophage's genes; their score beside it is no admixture.
_KIN = (MACROPHAGE, "monocyte", "dendritic", "plasmacytoid")
# A panel whose genes its kin expresses, too, while the kin's own it lacks: monocytes that become macrophages
# keep monocyte genes for long, and the genes of neutrophils are those of monocytes; plasma cells keep B-cell
# genes; pericytes make collagens.
_YIELDS = {"monocyte": MACROPHAGE, "neutrophil": MACROPHAGE, "b": "plasma", "fibroblast": "mural"}
# One stray count of a rare gene is no lineage.
MIN_DETECTED = 3


def call_compartment(
    scores: NullScores, ids: Sequence[str], n_present: Sequence[int], coverage: Sequence[float]
) -> Call:
    """Call the compartment with the best evidence.

    The evidence of a panel is its p against the matched null. Panels of genes that are rare in the
    reference cells have no such p (fewer than two genes expected); for them it is the probability of as
    many detected genes when so few are expected (Poisson). A compartment needs p < 0.01 and at least
    three genes detected; of several the smallest p wins, and a panel that is part of its kin's yields to it.

    Parameters
    ----------
    scores
        NullScores with the null of the reference cells.
    ids
        The compartments.
    n_present, coverage
        Genes of each in the data, and their share.
    """
    columns = [scores.ids.index(i) for i in ids]
    z, detected = scores.z[:, columns], scores.detected[:, columns]
    p = evidence_p(scores, columns, np.asarray(n_present))
    level = PRESENT_P * np.minimum(np.asarray(coverage) / FEW_GENES, 1.0) ** 2
    # a panel that lacks genes must be the more convincing, by the square of what it lacks
    supported = (p < level) & (detected >= MIN_DETECTED)
    _yield_to_kin(supported, ids)
    # z only breaks ties of p, which end at the smallest float32
    strength = np.where(supported, -np.log(np.maximum(p, 1e-45)) + 1e-6 * np.clip(z, -100, 100), -np.inf)
    best, found = strength.argmax(axis=1), supported.any(axis=1)
    label = np.where(found, np.array(ids, dtype=object)[best], UNASSIGNED)
    status = np.where(found, ASSIGNED, LOW_SIGNAL).astype(object)
    place = list(ids).index(MACROPHAGE)
    if not _can_be_called(n_present[place]) or coverage[place] < FEW_GENES:
        status[~found] = LOW_COVERAGE
    proba = _bayes_bound(np.where(supported, p, 1.0))
    return Call(label, status, proba, tuple(ids), proba.max(axis=1).astype(np.float32))


def _yield_to_kin(supported: Array, ids: Sequence[str]) -> None:
    """Take a panel's support back where its kin, which also has its genes, is supported as well."""
    for humble, kin in _YIELDS.items():
        if humble in ids and kin in ids:
            supported[supported[:, ids.index(kin)], ids.index(humble)] = False


def given_compartment(labels: Sequence[str], ids: Sequence[str], mapping: Mapping[str, str] | None) -> Call:
    """Take the compartments from the user's own cell types.

    Parameters
    ----------
    labels
        One a cell.
    ids
        The compartments.
    mapping
        From the user's names to ours; None if they are ours. Names that it leaves out are unassigned.

    Raises
    ------
    ParameterError
        A name of a compartment that there is not.
    """
    values = [str(v) for v in labels]
    known = {i: i for i in (*ids, UNASSIGNED)} if mapping is None else dict(mapping)
    unknown = sorted(
        (set(values) - set(known) - {"nan"}) if mapping is None else set(known.values()) - {*ids, UNASSIGNED}
    )
    if unknown:
        msg = (
            f"Not a compartment: {', '.join(unknown[:5])}. Give compartment_key=(column, {{your name: id}}) "
            f"with ids of {', '.join(ids)}."
        )
        raise ParameterError(msg)
    label = np.array([known.get(v, UNASSIGNED) for v in values], dtype=object)
    proba = (label[:, None] == np.array(ids, dtype=object)[None, :]).astype(np.float32)
    status = np.where(label == UNASSIGNED, LOW_SIGNAL, ASSIGNED).astype(object)
    return Call(label, status, proba, tuple(ids), proba.max(axis=1))


def evidence_p(scores: NullScores, columns: Sequence[int], n_present: Array) -> Array:
    """Return p against the null, or of the number of detected genes where the null gives none."""
    p = scores.p[:, columns].astype(float)
    expected = np.maximum(scores.expected[:, columns], 1e-3)
    by_count = np.asarray(scipy.stats.poisson.sf(scores.detected[:, columns] - 1, expected))
    by_count[:, n_present < MIN_DETECTED] = 1.0
    return np.where(np.isfinite(p), p, by_count)


def mixed_lineage(scores: NullScores, ids: Sequence[str], is_macrophage: Array) -> Array:
    """Return the greatest z of a lineage that is no kin of macrophages, 0 at least; NaN for other cells.

    High where a doublet, ambient RNA or an eaten cell adds another lineage's genes.
    """
    columns = [scores.ids.index(i) for i in ids if i not in _KIN]
    enough = scores.detected[:, columns] >= MIN_DETECTED
    rival = np.where(enough, scores.z[:, columns], 0.0).max(axis=1, initial=0.0)
    return np.where(is_macrophage, rival, np.nan).astype(np.float32)


def _can_be_called(n_present: int) -> bool:
    return n_present >= MIN_DETECTED


def _bayes_bound(p: Array) -> Array:
    """Return shares of the largest Bayes factor that a p allows (Sellke, Bayarri & Berger 2001), beside 1."""
    small = np.clip(p, 1e-45, 1 / np.e)
    factor = np.where(below(p, 1 / np.e), -1 / (np.e * small * np.log(small)), 0.0)
    return np.asarray(factor / (1.0 + factor.sum(axis=1, keepdims=True)), np.float32)
