"""The ferroptosis programs of a run, what they do, and the four themes that the programs are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tamannot.classify import SUMMARIES
from tamannot.data import RunRecord
from tamannot.tl._genes import genes_of_signatures

Array = NDArray[Any]

THEMES: Mapping[str, Mapping[str, int]] = {
    "iron": {
        "iron_uptake": 1,
        "iron_storage": 1,
        "iron_export": 1,
        "ferritinophagy": 1,
        "heme_iron_recycling": 1,
    },
    "glutathione": {"cystine_gsh": 1, "gpx4_axis": 1},
    "pufa": {"pufa_pl_synthesis": 1, "mufa_protection": -1},
    "lipid_peroxide": {"lipid_peroxidation_enzymes": 1, "lipid_peroxide_detox": -1},
}
"""The mean z of some programs, those with -1 counted against. Each program is in one theme at most."""
# What a high value means for the cell itself and for its neighbours.
_EFFECTS = {
    "iron": ("context", "context"),
    "glutathione": ("restrains", "context"),
    "pufa": ("drives", "none"),
    "lipid_peroxide": ("drives", "context"),
}


@dataclass(frozen=True)
class Programs:
    """The programs, the signed summaries of all of them, and the themes, in this order."""

    table: pd.DataFrame
    """By program: ``kind`` (program, summary, theme), ``effect_self``, ``effect_neighbour``."""
    signs: pd.DataFrame
    """Ids with a z by programs, their share in each mean: the identity, and for themes a mean with signs."""
    genes: pd.DataFrame
    """``signature``, ``gene``, ``column`` of programs and summaries."""

    @property
    def names(self) -> list[str]:
        """Their ids."""
        return [str(i) for i in self.table.index]

    @staticmethod
    def parts(name: str) -> list[str]:
        """Return the signatures that a name stands for: itself, of a theme its programs."""
        return list(THEMES.get(name, (name,)))

    def columns(self) -> Array:
        """Return the columns of all their genes in the matrix, each once."""
        return np.unique(self.genes["column"].to_numpy(np.int64))

    def members(self) -> Array:
        """Return which gene is of which program: genes as in `columns` by programs, 0 or 1."""
        columns, names = self.columns(), self.names
        out = np.zeros((columns.size, len(names)), np.float32)
        for at, name in enumerate(names):
            own = self.genes.loc[self.genes["signature"].isin(self.parts(name)), "column"]
            out[np.searchsorted(columns, own.to_numpy(np.int64)), at] = 1
        return out


def programs_of(record: RunRecord) -> Programs:
    """Return the programs of a run.

    Raises
    ------
    ResultNotFoundError
        It did not score them.
    """
    known = record.ferroptosis[["effect_self", "effect_neighbour"]].astype(str)
    programs = known[~known.index.isin(SUMMARIES)].assign(kind="program")
    summaries = known[known.index.isin(SUMMARIES)].assign(kind="summary")
    whole = {name: signs for name, signs in THEMES.items() if set(signs) <= set(programs.index)}
    themes = pd.DataFrame([(*_EFFECTS[t], "theme") for t in whole], index=list(whole), columns=programs.columns)
    table = pd.concat([programs, summaries, themes])
    with_z = [*programs.index, *summaries.index]
    signs = pd.DataFrame(0.0, index=with_z, columns=table.index)
    for name in with_z:
        signs.loc[name, name] = 1.0
    for theme, parts in whole.items():
        for name, sign in parts.items():
            signs.loc[name, theme] = sign / len(parts)
    genes = genes_of_signatures(record)
    return Programs(table, signs, genes[genes["signature"].isin(with_z)])
