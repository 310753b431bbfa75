"""Annotated objects that cost no annotation."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import tamannot.data as slots
from tamannot.tl._write import COLORS

SHARE_OF_STATE = (0.2, 0.1, 0.0005, 0.15, 0.1, 0.0495, 0.4)
SHARE_OF_ORIGIN = (0.5, 0.3, 0.01, 0.19)


@pytest.fixture(scope="session")
def make() -> Callable[[int], ad.AnnData]:
    """Make so many cells, 0.4 of them macrophages, with labels, z and an embedding, without a matrix."""

    def made(n: int) -> ad.AnnData:
        rng = np.random.default_rng(0)
        inside = rng.random(n) < 0.4
        state = np.where(inside, rng.choice(7, n, p=SHARE_OF_STATE), 7)
        origin = np.where(inside, rng.choice(4, n, p=SHARE_OF_ORIGIN), 4)
        obs = pd.DataFrame(
            {
                "tam_compartment": pd.Categorical.from_codes(np.where(inside, 0, 1), ["macrophage", "t_nk"]),
                "tam_origin": pd.Categorical.from_codes(origin, list(COLORS["origin"])),
                "tam_state": pd.Categorical.from_codes(state, list(COLORS["state"])),
                "sample": pd.Categorical.from_codes(rng.integers(0, 5, n), [f"s{i}" for i in range(5)]),
            },
            index=pd.RangeIndex(n).astype(str),
        )
        ids = [*list(COLORS["state"])[:5], "m1", "m2"]
        z = rng.normal(size=(n, len(ids)))
        z[np.arange(n), np.minimum(state, 6)] += np.where(state < 5, 4.0, 0.0)  # of its own state
        table = pd.DataFrame(z.astype(np.float32), index=obs.index, columns=ids)
        made = ad.AnnData(obs=obs)
        made.obsm["X_umap"] = rng.normal(size=(n, 2)) + np.column_stack([np.where(inside, 0, 8), state])
        made.obsm["tam_z"] = table
        made.obsm["tam_p"] = pd.DataFrame(scipy.stats.norm.sf(table).astype(np.float32), index=obs.index, columns=ids)
        axes = pd.DataFrame({"axis": ["state"] * 5 + ["polarization"] * 2}, index=pd.Index(ids))
        axes = axes.assign(version="1.0.0", digest="")
        slots.write_record(made, "tam", {"signatures": axes, "parameters": {"sample_key": "sample"}})
        return made

    return made


@pytest.fixture(scope="session")
def _made(make) -> ad.AnnData:
    return make(2000)


@pytest.fixture
def made(_made) -> ad.AnnData:
    """Two thousand such cells."""
    return _made.copy()
