from __future__ import annotations

import pytest

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


def rows(ax) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def test_without_an_embedding_bars_are_by_the_sample_of_the_run(made):
    del made.obsm["X_umap"]
    ax = tam.pl.origins(made)
    assert rows(ax) == ["s0", "s1", "s2", "s3", "s4"]
    inside = made.obs[made.obs["tam_origin"] != "not_macrophage"]
    n = inside["sample"].value_counts(sort=False)
    assert [t.get_text() for t in ax.texts] == [f"n = {k:,}" for k in n]
    share = (inside["tam_origin"] == "microglia").groupby(inside["sample"], observed=True).mean()
    assert [p.get_width() for p in ax.containers[0]] == pytest.approx(share.tolist())


def test_without_a_sample_it_is_one_bar(annotated):
    ax = tam.pl.origins(annotated)
    assert rows(ax) == ["macrophages"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["microglia", "monocyte derived", "unassigned"]
    assert sum(p.get_width() for p in ax.patches) == pytest.approx(1)


def test_a_hundred_groups_stay_on_a_page_and_missing_ones_are_a_group(made):
    made.obs["many"] = [None if i % 100 == 0 else f"g{i % 100:02d}" for i in range(made.n_obs)]
    ax = tam.pl.origins(made, groupby="many")
    assert rows(ax)[-1] == "missing"
    assert len(rows(ax)) == 100
    assert ax.figure.get_size_inches()[1] < 25


def test_refused(made, example):
    with pytest.raises(ParameterError, match="No column 'nothing'"):
        tam.pl.origins(made, groupby="nothing")
    with pytest.raises(ResultNotFoundError):
        tam.pl.origins(example)
