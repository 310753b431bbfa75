from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import StepPatch

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


def names(ax) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def shares(ax) -> list[str]:
    return [t.get_text() for t in ax.texts if " of " in t.get_text()]


def steps(ax) -> list[StepPatch]:
    return [p for p in ax.patches if isinstance(p, StepPatch)]


def test_the_states_of_the_macrophages_with_the_share_called_so(made):
    ax = tam.pl.scores(made)
    state = made.obs["tam_state"][made.obs["tam_state"] != "not_macrophage"]
    ids = list(made.obsm["tam_z"].columns[:5])
    assert names(ax) == [c.replace("_", " ") for c in ids]
    assert shares(ax) == [f"called {(state == c).mean():.1%} of {state.size:,}" for c in ids]


def test_what_is_no_label_has_the_share_beyond_its_null(made):
    p = made.obsm["tam_p"]["m1"][(made.obs["tam_state"] != "not_macrophage").to_numpy()]
    assert shares(tam.pl.scores(made, "m1")) == [f"p < 0.01 in {(p < 0.01).mean():.1%} of {p.size:,}"]


def test_baselines_of_the_run_are_marked(annotated):
    ax = tam.pl.scores(annotated, ["inflammatory", "hypoxic"])
    table = annotated.uns["tamannot"]["tam"]["baselines"].loc["inflammatory"].set_index("origin")["baseline"]
    marked = {line.get_label(): line.get_xdata()[0] for line in ax.lines if line.get_marker() == "^"}
    assert marked == {f"baseline, {o.replace('_', ' ')}": pytest.approx(b) for o, b in table.items()}


def test_areas_are_the_cells_and_the_line_is_the_standard_normal(made):
    ax = tam.pl.scores(made, "m1", only_macrophages=False)
    (drawn,) = steps(ax)
    values, edges, baseline = drawn.get_data()
    height = baseline - values
    line = ax.lines[0]
    unit = (0 - line.get_ydata()).max() / (2 * np.pi) ** -0.5  # the line is drawn on the same scale
    inside = made.obsm["tam_z"]["m1"].between(edges[0], edges[-1]).mean()
    assert (height / unit * np.diff(edges)).sum() == pytest.approx(inside)
    assert line.get_xdata()[np.argmin(line.get_ydata())] == pytest.approx(0)


def test_groups_are_rows_in_their_colours(made):
    ax = tam.pl.scores(made, "lipid_associated", groupby="tam_state")
    assert names(ax)[0] == "lipid associated"
    assert "not macrophage" not in names(ax)
    assert [float(s.split()[1].rstrip("%")) for s in shares(ax)] == [100.0] + [0.0] * (len(names(ax)) - 1)
    assert len({p.get_facecolor() for p in steps(ax)}) == len(names(ax))
    assert ax.get_ylabel() == "lipid associated, by tam state"


def test_several_signatures_by_groups_name_both(made):
    assert names(tam.pl.scores(made, ["m1", "m2"], groupby="sample"))[5] == "m2, s0"


def test_few_cells_have_wide_bins(made):
    few, many = (steps(tam.pl.scores(made[:n].copy(), "m1", only_macrophages=False))[0] for n in (20, 1000))
    assert np.diff(few.get_data().edges) == pytest.approx(1)
    assert np.diff(many.get_data().edges) == pytest.approx(0.25)


def test_compartments_are_of_all_cells(annotated):
    (text,) = shares(tam.pl.scores(annotated, "macrophage"))
    assert text == f"called {(annotated.obs['tam_compartment'] == 'macrophage').mean():.1%} of {annotated.n_obs}"


def test_a_signature_without_p_says_so(made):
    made.obsm["tam_p"]["m1"] = np.float32(np.nan)
    ax = tam.pl.scores(made, "m1")
    assert [t.get_text() for t in ax.texts if "cells" in t.get_text()] == [
        f"no p ({(made.obs['tam_state'] != 'not_macrophage').sum()} cells)"
    ]


def test_scored_only(tiny):
    tam.tl.score(tiny, tam.read_signatures({"own": list(tiny.var_names[:6])}), null="matched")
    assert names(tam.pl.scores(tiny)) == ["own"]


def test_refused(made, tiny):
    with pytest.raises(ParameterError, match="No signature 'm3'"):
        tam.pl.scores(made, ["m1", "m3"])
    with pytest.raises(ParameterError, match="empty"):
        tam.pl.scores(made, [])
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.scores(made, groupby="nothing")
    with pytest.raises(ResultNotFoundError, match="no cells"):
        tam.pl.scores(made[made.obs["tam_state"] == "not_macrophage"].copy())
    tam.tl.score(tiny, tam.read_signatures({"own": list(tiny.var_names[:6])}))
    with pytest.raises(ResultNotFoundError, match="tam_z"):
        tam.pl.scores(tiny)
