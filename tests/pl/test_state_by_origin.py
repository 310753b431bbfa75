from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


def fields(ax) -> np.ndarray:
    shape = ax.images[0].get_array().shape
    return np.array([t.get_text() for t in ax.texts]).reshape(shape)


def test_fields_are_counts_and_shares_of_the_row(made):
    ax = tam.pl.state_by_origin(made)
    inside = made.obs[made.obs["tam_state"] != "not_macrophage"]
    counts = pd.crosstab(inside["tam_origin"], inside["tam_state"])
    found = fields(ax)
    rows = [t.get_text().split("\n") for t in ax.get_yticklabels()]
    columns = [t.get_text() for t in ax.get_xticklabels()]
    assert rows[0] == ["microglia", f"n = {counts.loc['microglia'].sum():,}"]
    assert rows[-1][0] == columns[-1] == "unassigned"
    assert "transitional" in columns
    k = counts.loc["monocyte_derived", "lipid_associated"]
    assert found[1, 0] == f"{k}\n{k / counts.loc['monocyte_derived'].sum():.0%}"
    assert sum(int(t.split("\n")[0].replace(",", "")) for t in found.ravel()) == len(inside)
    shares = ax.images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert ax.images[0].get_clim() == (0, 1)


def test_rows_of_few_cells_are_not_shaded(annotated):
    ax = tam.pl.state_by_origin(annotated)  # 16 microglia, 1 monocyte-derived, 2 unassigned
    assert ax.images[0].get_array().mask.all(axis=1).tolist() == [False, True, True]
    assert sum(int(field.split()[0]) for field in fields(ax)[2]) == 2
    assert not tam.pl.state_by_origin(annotated, min_cells=1).images[0].get_array().mask.any()


def test_unassigned_is_shown_where_there_is_none(made):
    called = made[(made.obs["tam_state"] == "inflammatory") & (made.obs["tam_origin"] == "microglia")].copy()
    ax = tam.pl.state_by_origin(called)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["inflammatory", "unassigned"]
    assert fields(ax)[0].tolist() == [f"{called.n_obs}\n100%", "0\n0%"]


def test_with_samples_each_counts_once(made):
    made.obs["sample"] = np.where(np.arange(made.n_obs) < 1700, "large", "small")
    ax = tam.pl.state_by_origin(made, sample_key="sample")
    inside = made.obs[made.obs["tam_origin"] == "microglia"]
    share = (inside["tam_state"] == "lipid_associated").groupby(inside["sample"]).mean()
    assert ax.images[0].get_array()[0, 0] == pytest.approx(share.mean())
    assert fields(ax)[0, 0] == f"{share.mean():.0%}\n{share.min():.0%}–{share.max():.0%}"
    assert ax.get_yticklabels()[0].get_text() == "microglia\n2 of 2 samples"
    ax = tam.pl.state_by_origin(made, sample_key="sample", min_cells=20)
    border = [t.get_text() for t in ax.get_yticklabels()].index("border associated\n0 of 2 samples")
    assert (fields(ax)[border] == "–").all()


def test_refused(made, example):
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.state_by_origin(made, sample_key="nothing")
    with pytest.raises(ParameterError, match="min_cells is at least 1"):
        tam.pl.state_by_origin(made, min_cells=0)
    with pytest.raises(ResultNotFoundError, match="No sample has 5000 macrophages"):
        tam.pl.state_by_origin(made, sample_key="sample", min_cells=5000)
    with pytest.raises(ResultNotFoundError, match="no macrophages"):
        tam.pl.state_by_origin(made[made.obs["tam_state"] == "not_macrophage"].copy())
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.state_by_origin(example)
    assert not plt.get_fignums()
