"""Signatures matched to the columns of a data set, ready for the kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamannot.kernels._pack import exact_weights
from tamannot.signature import Gene, Signature

Array = NDArray[Any]
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

    @property
    def n_genes(self) -> int:
        """Genes of the signature."""
        return len(self.signature.genes)


@dataclass(frozen=True)
class Plan:
    """What to compute: the parts, each once, and the outputs that are made of them."""

    parts: tuple[Part, ...]
    outputs: tuple[Signature, ...]
    parts_of: tuple[tuple[int, ...], ...]
    """For each output, which parts its value is the greatest of."""
    n_vars: int

    @property
    def ids(self) -> list[str]:
        """Ids of the outputs, in order."""
        return [s.id for s in self.outputs]

    def n_present(self, output: int) -> int:
        """Distinct columns of the data that an output uses."""
        return len({c for arm in self._arms(output) for c in arm.columns})

    def missing(self, output: int) -> list[str]:
        """Symbols of an output's genes that are not in the data."""
        return sorted({symbol for arm in self._arms(output) for symbol in arm.missing})

    def n_genes(self, output: int) -> int:
        """Distinct genes of an output; two names of one gene are one."""
        return self.n_present(output) + len(self.missing(output))

    def coverage(self, output: int) -> float:
        """Share of an output's genes that are in the data."""
        return self.n_present(output) / self.n_genes(output)

    def _arms(self, output: int) -> list[Arm]:
        return [arm for p in self.parts_of[output] for arm in (self.parts[p].up, self.parts[p].down)]


def make_plan(signatures: Mapping[str, Signature], locate: Locate, n_vars: int) -> Plan:
    """Match signatures to columns.

    Parameters
    ----------
    signatures
        The outputs, in order; parts that several of them share are computed once.
    locate
        Gives the column of a gene from its symbol and Ensembl id, -1 where there is none.
    n_vars
        Genes of the data.
    """
    parts: dict[tuple[str, str], Part] = {}
    for signature in signatures.values():
        for part in signature.parts:
            if (part.id, part.digest) not in parts:
                parts[part.id, part.digest] = _match(part, locate)
    number = {key: i for i, key in enumerate(parts)}
    return Plan(
        parts=tuple(parts.values()),
        outputs=tuple(signatures.values()),
        parts_of=tuple(tuple(number[p.id, p.digest] for p in s.parts) for s in signatures.values()),
        n_vars=n_vars,
    )


def _match(signature: Signature, locate: Locate) -> Part:
    return Part(signature, up=_match_arm(signature.up, locate), down=_match_arm(signature.down, locate))


def _match_arm(genes: tuple[Gene, ...], locate: Locate) -> Arm:
    columns = np.array([locate(g.symbol, g.ensembl) for g in genes], np.int64)
    weights = exact_weights([g.weight for g in genes])
    absent = columns < 0
    # Two names of one gene in a user's list are one column, and one column counts once.
    _, first = np.unique(columns, return_index=True)
    present = np.zeros(columns.size, bool)
    present[first] = True
    present &= ~absent
    missing = tuple(g.symbol for g, is_absent in zip(genes, absent, strict=True) if is_absent)
    return Arm(columns[present], weights[present], weights[present | absent], missing)
