"""Which program a macrophage runs: the fixed rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tamannot.classify._call import (
    AMBIGUOUS,
    ASSIGNED,
    LOW_COVERAGE,
    LOW_SIGNAL,
    PRESENT_P,
    PRESENT_Z,
    UNASSIGNED,
    Array,
    Call,
    below,
    best_two,
    blank,
    only_macrophages,
)
from tamannot.scorers import NullScores
from tamannot.signature import Signature, SignatureSet

TRANSITIONAL = "transitional"
STATES = ("lipid_associated", "interferon_primed", "pro_angiogenic", "inflammatory", "immunoregulatory")
M1, M2 = "m1", "m2"

_ANGIOGENIC_EFFECTORS = ("VEGFA", "PDGFA", "PDGFB", "PDGFC", "FLT1", "HBEGF", "MMP9", "MMP14", "SPP1")
# Helpers of the rules; their ids cannot clash with the library's, and they appear in no result.
_SPECIFIC, _EFFECTORS, _CD86, _MRC1 = "rule:angiogenic_only", "rule:effectors", "rule:cd86", "rule:mrc1"
_MIN_EFFECTORS = 2
_LEAD = 0.5
_ARM_P, _ARM_DISTANCE = 0.05, 2.0
_MIXED_LINEAGE = 4.0
_STEEPNESS = 1.5
_ABSENT = -1e9


def rule_signatures(library: Mapping[str, Signature]) -> SignatureSet:
    """Return the small sets that the rules count on, made of genes of the library."""
    # Mouse symbols are the human ones in title case, for these genes without exception.
    genes = {g.symbol.upper(): g for s in ("pro_angiogenic", M1, M2) for g in library[s].all_genes}
    shared = {g.key for s in ("hypoxic", "monocyte_derived") for g in library[s].all_genes}
    species = library[M1].species

    def part(name: str, symbols: Sequence[str]) -> list[Signature]:
        members = tuple(genes[s].model_copy(update={"references": ()}) for s in symbols if s in genes)
        return [Signature(id=name, species=species, genes=members)] if members else []

    own = [g.symbol.upper() for g in library["pro_angiogenic"].all_genes if g.key not in shared]
    return SignatureSet(
        part(_SPECIFIC, own) + part(_EFFECTORS, _ANGIOGENIC_EFFECTORS) + part(_CD86, ["CD86"]) + part(_MRC1, ["MRC1"])
    )


def call_state(scores: NullScores, is_macrophage: Array, mixed: Array) -> Call:
    """Call the state with the greatest z among the programs present in a cell.

    Present: p < 0.01 against matched genes of the same cell. ``ambiguous`` where two present programs are
    within 0.5 of each other. Pro-angiogenic also needs two effector genes and p < 0.01 without the genes
    it shares with hypoxia and monocytes. Transitional, where no program is present: both arms at
    p < 0.05, |z_m1 - z_m2| < 2, CD86 and MRC1 both detected, little of another lineage.

    Parameters
    ----------
    scores
        NullScores with a null, of the states, the polarization arms and `rule_signatures`.
    is_macrophage
        Which cells to call.
    mixed
        Score of the strongest other lineage.
    """
    z = np.stack([scores.column("z", s) for s in STATES], axis=1).astype(float)
    p = np.stack([scores.column("p", s) for s in STATES], axis=1)
    present = below(p, PRESENT_P)
    present[:, STATES.index("pro_angiogenic")] &= _angiogenic_fits(scores)
    # A program that is not present stands below any that is, whatever its z.
    best, first, second = best_two(np.where(present, z, _ABSENT))
    found = present.any(axis=1)
    leads = first - second >= _LEAD
    label, status = blank(len(z), UNASSIGNED), blank(len(z), LOW_SIGNAL)
    status[~np.isfinite(p).any(axis=1) & (z == 0).all(axis=1)] = LOW_COVERAGE
    status[found & ~leads] = AMBIGUOUS
    called = found & leads
    label[called], status[called] = np.array(STATES, dtype=object)[best[called]], ASSIGNED
    dual = ~found & _both_arms(scores) & (np.nan_to_num(mixed, nan=np.inf) < _MIXED_LINEAGE)
    label[dual], status[dual] = TRANSITIONAL, ASSIGNED
    proba = (1.0 / (1.0 + np.exp(-_STEEPNESS * (np.clip(z, -50, 50) - PRESENT_Z)))).astype(np.float32)
    return only_macrophages(Call(label, status, proba, STATES, proba.max(axis=1)), is_macrophage)


def dual_program(scores: NullScores) -> Array:
    """Return how far both polarization arms stand above their null: the smaller z, for every cell."""
    return np.asarray(np.minimum(scores.column("z", M1), scores.column("z", M2)), np.float32)


def programs(scores: NullScores, ids: Sequence[str]) -> Array:
    """Return the programs with p < 0.01 in each cell, joined by ``+`` in the order of ``ids``; else ``""``."""
    present = np.stack([below(scores.column("p", i), PRESENT_P) for i in ids], axis=1)
    return np.array(["+".join(i for i, here in zip(ids, row, strict=True) if here) for row in present], dtype=object)


def _angiogenic_fits(scores: NullScores) -> Array:
    if _SPECIFIC not in scores.ids or _EFFECTORS not in scores.ids:
        return np.zeros(scores.score.shape[0], bool)
    enough = scores.column("detected", _EFFECTORS) >= _MIN_EFFECTORS
    return np.asarray(enough & below(scores.column("p", _SPECIFIC), PRESENT_P))


def _both_arms(scores: NullScores) -> Array:
    if _CD86 not in scores.ids or _MRC1 not in scores.ids:
        return np.zeros(scores.score.shape[0], bool)
    anchors = (scores.column("detected", _CD86) > 0) & (scores.column("detected", _MRC1) > 0)
    z1, z2 = scores.column("z", M1), scores.column("z", M2)
    arms = below(scores.column("p", M1), _ARM_P) & below(scores.column("p", M2), _ARM_P)
    return np.asarray(anchors & arms & (np.abs(z1 - z2) < _ARM_DISTANCE))
