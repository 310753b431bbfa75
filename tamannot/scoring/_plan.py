"""Signatures matched to the columns of a data set, and packed for the kernels; the interface of methods on ranks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from tamannot.errors import ParameterError, SignatureFormatError
from tamannot.scoring._njit import Array
from tamannot.signature import Gene, Signature

Locate = Callable[[str, str | None], int]


@dataclass(frozen=True)
class Arm:
    """One direction of a signature: columns and weights of the genes that are there, weights of all."""

    columns: Array
    weights: Array
    all_weights: Array
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A signature with genes of its own, matched to the data."""

    signature: Signature
    up: Arm
    down: Arm

    @property
    def n_present(self) -> int:
        """Genes that are in the data."""
        return self.up.columns.size + self.down.columns.size


@dataclass(frozen=True)
class Coverage:
    """How much of a signature is in the data; two names of one gene are one gene."""

    n_genes: int
    n_present: int
    missing: tuple[str, ...]  # symbols, sorted

    @property
    def share(self) -> float:
        """Share of the genes that are in the data."""
        return self.n_present / self.n_genes


@dataclass(frozen=True)
class Plan:
    """What to compute: the parts, each once, and the outputs that are made of them."""

    parts: tuple[Part, ...]
    outputs: tuple[Signature, ...]
    parts_of: tuple[tuple[int, ...], ...]  # for each output, which parts its value is the greatest of
    n_vars: int

    @property
    def ids(self) -> list[str]:
        """Ids of the outputs, in order."""
        return [s.id for s in self.outputs]

    @cached_property
    def coverage(self) -> tuple[Coverage, ...]:
        """How much of each output is in the data."""
        found = []
        for members in self.parts_of:
            arms = [arm for p in members for arm in (self.parts[p].up, self.parts[p].down)]
            present = {c for arm in arms for c in arm.columns.tolist()}
            missing = sorted({symbol for arm in arms for symbol in arm.missing})
            found.append(Coverage(len(present) + len(missing), len(present), tuple(missing)))
        return tuple(found)


def make_plan(signatures: Mapping[str, Signature], locate: Locate, n_vars: int) -> Plan:
    """Match signatures to columns, which ``locate`` gives by symbol and Ensembl id, -1 for none; shared parts once."""
    parts: dict[tuple[str, str], Part] = {}
    parts_of = []
    for signature in signatures.values():
        keys = [(part.id, part.digest) for part in signature.parts]
        for key, part in zip(keys, signature.parts, strict=True):
            if key not in parts:
                parts[key] = Part(part, up=_match_arm(part.up, locate), down=_match_arm(part.down, locate))
        parts_of.append(keys)
    number = {key: p for p, key in enumerate(parts)}
    return Plan(
        parts=tuple(parts.values()),
        outputs=tuple(signatures.values()),
        parts_of=tuple(tuple(number[key] for key in keys) for keys in parts_of),
        n_vars=n_vars,
    )


def _match_arm(genes: Sequence[Gene], locate: Locate) -> Arm:
    columns = np.array([locate(g.symbol, g.ensembl) for g in genes], np.int64)
    weights, absent = np.rint(np.array([g.weight for g in genes]) / WEIGHT_STEP) * WEIGHT_STEP, columns < 0
    # Two names of one gene in a user's list are one column, and one column counts once.
    present = np.zeros(columns.size, bool)
    present[np.unique(columns, return_index=True)[1]] = True
    present &= ~absent
    missing = tuple(g.symbol for g, is_absent in zip(genes, absent, strict=True) if is_absent)
    return Arm(columns[present], weights[present], weights[present | absent], missing)


# Weights of ranks are whole multiples of 2^-16. Depths are whole steps, too, so that sums of their
# products are exact in 64 bits: no order of genes can show in a bit.
WEIGHT_STEP = 2.0**-16


class Arms(NamedTuple):
    """Gene-major lists of arms; arm ``a`` is one direction of one signature."""

    used: Array  # whether a gene is in any arm, uint8, shape (n_genes,)
    gene_ptr: Array  # the arms of gene g are entries gene_ptr[g] to gene_ptr[g + 1] of arm_of
    arm_of: Array
    weight_of: Array  # weights of the entries, shape (n_methods, n_entries)
    arm_weight: Array  # sums of the weights of an arm's genes that are in the data, shape (n_methods, n_arms)


def pack_arms(columns: Sequence[Array], weights: Sequence[Sequence[Array]], n_genes: int) -> Arms:
    """Pack arms given as columns of the data and, for each method, weights, which stay whole numbers if all are."""
    gene = np.concatenate([np.empty(0, np.int64), *columns])
    arm = np.repeat(np.arange(len(columns)), [len(c) for c in columns])
    order = np.lexsort((arm, gene))
    kind = np.result_type(np.int64, *(w.dtype for of_method in weights for w in of_method))
    rows = [np.concatenate([np.empty(0, kind), *of_method])[order] for of_method in weights]
    sums = [[w.sum() for w in of_method] for of_method in weights]
    n_arms = np.bincount(gene, minlength=n_genes)
    return Arms(
        used=(n_arms > 0).astype(np.uint8),
        gene_ptr=np.concatenate([[0], np.cumsum(n_arms)]).astype(np.int64),
        arm_of=arm[order].astype(np.int32),
        weight_of=np.array(rows, kind).reshape(len(weights), gene.size),
        arm_weight=np.array(sums, kind).reshape(len(weights), len(columns)),
    )


Weights = Literal["use", "ignore"]


def weights_in_use(arm: Arm, weights: Weights) -> Array:
    """Return the weights of an arm's genes in the data: their own, or all 1 where they are to be ignored."""
    return arm.weights if weights == "use" else np.ones_like(arm.weights)


class SignedGenes(NamedTuple):
    """The genes of a signature in the data."""

    columns: Array
    weights: Array  # as the method uses them; negative for genes that lower the score


def signed_genes(part: Part, weights: Weights, down_weight: float = 1.0) -> SignedGenes:
    """Return the genes of a signature in the data, those of the down arm with negative weights."""
    up, down = weights_in_use(part.up, weights), weights_in_use(part.down, weights)
    return SignedGenes(np.concatenate([part.up.columns, part.down.columns]), np.concatenate([up, -down_weight * down]))


def refuse_weights(signature: Signature, method: str) -> None:
    """Refuse a signature with weights in a method that has no place for them: they are never dropped silently."""
    weighted = [g.symbol for g in signature.genes if g.weight != 1]
    if weighted:
        raise SignatureFormatError(
            f"Signature '{signature.id}' has weights ({', '.join(weighted[:3])}{', …' if len(weighted) > 3 else ''}) "
            f"which {method} cannot use. Set weights='ignore' to score it without them, or use another method."
        )


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise ParameterError(f"{name} must be {', '.join(others)} or {last}, not {value!r}.")


class RankMethod(ABC):
    """Settings of a score made of ``sum of w * max(K - rank, 0)`` over the genes of a signature."""

    weights: Weights  # whether weights of genes are used or ignored

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the method in provenance."""

    @property
    @abstractmethod
    def ties(self) -> int:
        """What a tie is worth: ``AVERAGE``, ``EXPECTED`` or ``LEGACY``."""

    @property
    @abstractmethod
    def down_weight(self) -> float:
        """Weight of the down genes."""

    def arm_weights(self, arm: Arm) -> Array:
        """Return the weights of an arm's present genes as this method uses them."""
        return weights_in_use(arm, self.weights)

    @abstractmethod
    def rank_cap(self, n_vars: int) -> int:
        """Return K: the rank from which on all ranks are one."""

    @abstractmethod
    def limits(self, arm: Arm, cap: int) -> tuple[float, float]:
        """Return what is added to an arm's sum where it is not zero, and what the result is divided by."""

    @abstractmethod
    def check(self, part: Part, n_vars: int) -> None:
        """Refuse a signature that the method cannot score, or data that it cannot score in."""
