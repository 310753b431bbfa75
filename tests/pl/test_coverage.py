from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError


def names(ax) -> list[str]:
    return [t.get_text() for t in ax.get_yticklabels()]


def said(ax) -> list[str]:
    return [t.get_text() for t in ax.texts if " of " in t.get_text()]


def test_bars_are_the_shares_in_the_order_of_the_run(annotated):
    ax = tam.pl.coverage(annotated)
    table = tam.get.coverage(annotated)
    assert names(ax) == [i.replace("_", " ") for i in table.index]
    width = {round(p.get_y() + p.get_height() / 2, 6): p.get_width() for c in ax.containers[1:] for p in c}
    assert [width[round(y, 6)] for y in ax.get_yticks()] == pytest.approx(table["coverage"].tolist())
    assert [t.split(",")[0] for t in said(ax)] == [
        f"{a} of {b}" for a, b in zip(table["n_present"], table["n_genes"], strict=True)
    ]


def test_what_is_missing_is_named_where_it_is_little(annotated):
    row = tam.get.coverage(annotated).loc["microglia"]
    (text,) = (t for t in said(tam.pl.coverage(annotated, axis="origin")) if t.startswith("16 of 20"))
    assert text == f"16 of 20, without {row['missing'].replace(',', ', ')}"


def test_few_are_marked_without_colours_as_well(annotated):
    ax = tam.pl.coverage(annotated, axis=["origin", "state"])
    _, enough, few = ax.containers
    assert {p.get_hatch() for p in few} == {"////"}
    assert max(p.get_width() for p in few) < 0.5 <= min(p.get_width() for p in enough)
    assert ax.lines[0].get_xdata()[0] == 0.5
    assert [t.get_text() for t in ax.texts if t.get_style() == "italic"] == ["origin", "state"]
    assert len(tam.pl.coverage(annotated, axis="state", threshold=0.0).containers) == 2


def test_refused(annotated, example):
    with pytest.raises(ParameterError, match=r"No axis 'nothing' in the run 'tam'\. There are: compartment"):
        tam.pl.coverage(annotated, axis=["state", "nothing"])
    with pytest.raises(ParameterError, match="threshold is a share"):
        tam.pl.coverage(annotated, threshold=50)
    with pytest.raises(ResultNotFoundError, match="annotate"):
        tam.pl.coverage(example)
    assert not plt.get_fignums()
