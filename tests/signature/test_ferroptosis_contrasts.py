"""Ferroptosis sets against experiments where cells do die; skipped where the table of contrasts is absent."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import tamannot as tam

TABLE = "contrasts_ferroptosis_apoptosis_t.csv.gz"


@pytest.fixture(scope="module")
def ranks() -> pd.DataFrame:
    """Genes by experiments: rank of t among the genes that were measured there, from 0 to 1."""
    folder = os.environ.get("TAMANNOT_TEST_DATA", "")
    if not folder or not (path := Path(folder) / TABLE).is_file():
        pytest.skip(f"contrasts are absent: TAMANNOT_TEST_DATA={folder!r} has no {TABLE}")
    t = pd.read_csv(path, index_col=0, low_memory=False)
    return t.replace([np.inf, -np.inf], np.nan).rank(pct=True)


@pytest.fixture(scope="module")
def makes(ranks) -> pd.Series:
    """Of each experiment whether its study chose genes: every second by name, of either kind."""
    found = {}
    for kind in ("ferroptosis", "apoptosis"):
        names = [c for c in ranks if c.startswith(kind)]
        studies = sorted({name.split(" | ")[1].split()[0] for name in names})
        found |= {name: studies.index(name.split(" | ")[1].split()[0]) % 2 == 0 for name in names}
    return pd.Series(found)


def signed_rank(ranks: pd.DataFrame, signature: tam.Signature) -> pd.Series:
    """Return the weighted mean of rank - 0.5, down genes turned round, over the genes that were measured."""
    weights = pd.Series({g.symbol: g.weight * (1 if g.direction == "up" else -1) for g in signature.genes})
    here = ranks.reindex(weights.index) - 0.5
    return here.mul(weights, axis=0).sum() / here.notna().mul(weights.abs(), axis=0).sum()


def auroc(values: pd.Series) -> float:
    return roc_auc_score(values.index.str.startswith("ferroptosis"), values)


def test_response_tells_ferroptosis_from_apoptosis_in_studies_that_did_not_choose_it(ranks, makes):
    held_out = makes.index[~makes]
    assert held_out.str.startswith("ferroptosis").sum() == 9
    found = signed_rank(ranks[held_out], tam.load_signature("ferroptosis_response"))
    assert auroc(found) >= 0.85
    assert (found[found.index.str.startswith("ferroptosis")] > 0).all()


def test_notes_of_the_response_are_the_mean_ranks_of_the_studies_that_chose(ranks, makes):
    making = pd.DataFrame({"name": makes.index[makes]})
    making["kind"], making["study"] = zip(*making["name"].str.split(" | ", regex=False), strict=True)
    making["study"] = making["study"].str.split().str[0]
    by_study = ranks[making["name"]].T.groupby([making["kind"].to_numpy(), making["study"].to_numpy()]).mean()
    means = by_study.groupby(level=0).mean().T
    for gene in tam.load_signature("ferroptosis_response").genes:
        told = f"mean rank {means.loc[gene.symbol, 'ferroptosis']:.2f} in ferroptosis, "
        assert gene.note.startswith(f"{told}{means.loc[gene.symbol, 'apoptosis']:.2f} in apoptosis")


@pytest.mark.parametrize(
    ("signature_id", "fell", "told"),
    [
        ("ferroptosis_drive", 6, "rose in 13 and fell in 6"),
        ("ferroptosis_defence", 4, "rose in 15 and fell in 4"),
        ("ferroptosis_balance", 15, "fell in 15 and rose in 4"),
    ],
)
def test_texts_of_the_summaries_say_how_they_behaved(ranks, signature_id, fell, told):
    signature = tam.load_signature(signature_id)
    values = signed_rank(ranks, signature)
    assert (values[values.index.str.startswith("ferroptosis")] < 0).sum() == fell
    text = " ".join(signature.description.split())
    assert told in text
    assert f"{auroc(values):.2f}" in text
