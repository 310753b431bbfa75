from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
import tamannot.data as slots
from tamannot.analysis._crosstalk import run_tests
from tamannot.analysis._crosstalk_values import PRE_SPECIFIED
from tamannot.errors import ParameterError, ResultNotFoundError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def tested(annotated):
    rng = np.random.default_rng(0)
    names = [c for h in PRE_SPECIFIED for c in (h.column, f"malignant_{h.malignant}")]
    index = pd.Index([f"s{i}" for i in range(12)], name="sample")
    table = pd.DataFrame(rng.standard_normal((12, 7)), index=index, columns=[*names, "depth"])
    tests = run_tests(table, PRE_SPECIFIED, ["depth"], n_bootstrap=50, seed=0)
    record = {"tests": tests, "samples": table.assign(used=np.arange(12) > 0), "cautions": [], "parameters": {}}
    slots.write_analysis(annotated, "tam", "crosstalk", record)
    return annotated


def test_a_row_a_test_raw_and_adjusted(tested):
    ax = tam.pl.crosstalk(tested)
    tests = tam.get.crosstalk(tested)
    raw, given = ax.get_lines()[:2]
    assert raw.get_xdata() == pytest.approx(tests["rho"])
    assert given.get_xdata() == pytest.approx(tests["rho_adjusted"])
    assert next(t.get_text() for t in ax.get_yticklabels()).startswith("share of lipid associated")
    assert sum("given depth" in t.get_text() for t in ax.texts) == 3


def test_a_row_says_in_which_share_of_cells_there_is_too_little_signal(tested):
    record = dict(tested.uns["tamannot"]["tam"]["crosstalk"])
    low = [np.nan, 0.87, np.nan]
    slots.write_analysis(tested, "tam", "crosstalk", record | {"tests": record["tests"].assign(low_signal_tam=low)})
    rows = [t.get_text() for t in tam.pl.crosstalk(tested).get_yticklabels()]
    assert ["87% too little signal" in row for row in rows] == [False, True, False]
    ax = tam.pl.crosstalk(tested, pair=("iron_export", "ferroptosis_drive"))
    assert ax.get_xlabel() == "mean z of iron export of macrophages\n(87% too little signal)"


def test_the_smallest_p_first_where_there_are_too_many(tested):
    ax = tam.pl.crosstalk(tested, n=1)
    best = tam.get.crosstalk(tested).sort_values("p").iloc[0]
    assert ax.get_lines()[0].get_xdata() == pytest.approx([best["rho"]])
    assert "the 1 of 3 tests" in ax.get_xlabel()


def test_samples_of_a_pair(tested):
    _, ax = plt.subplots()
    assert tam.pl.crosstalk(tested, pair=("lipid_associated", "ferroptosis_defence"), ax=ax) is ax
    shown = np.asarray(ax.collections[0].get_offsets())
    used = tam.get.crosstalk(tested, kind="samples").iloc[1:]
    assert shown[:, 0] == pytest.approx(used["share_lipid_associated"].to_numpy())
    assert shown[:, 1] == pytest.approx(used["malignant_ferroptosis_defence"].to_numpy())


def test_what_cannot_be_drawn(tested, example):
    with pytest.raises(ParameterError, match="was not tested"):
        tam.pl.crosstalk(tested, pair=("m1", "gpx4_axis"))
    with pytest.raises(ParameterError, match="n is 0"):
        tam.pl.crosstalk(tested, n=0)
    with pytest.raises(ResultNotFoundError):
        tam.pl.crosstalk(example)
