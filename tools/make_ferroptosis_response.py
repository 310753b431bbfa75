"""Choose the genes of ``ferroptosis_response`` from contrasts of cells that die, and test them on the other half.

usage: python tools/make_ferroptosis_response.py CONTRASTS.csv[.gz] FERRDB.txt

CONTRASTS has genes by experiments and holds t values; a column is called ``ferroptosis | STUDY (what)`` or
``apoptosis | STUDY (what)``. FERRDB has one symbol a line: the driver, suppressor, marker and unclassified tables of
FerrDb V2. Out: the genes with weight and mean rank, and the AUROC on the half that chose nothing.

The rule was fixed before the other half was looked at; its numbers (25 genes, rank 0.6, two thirds) were chosen by
leaving out one study at a time within the half that makes:

1. Studies of each kind are sorted by name; the first, third, fifth, … make, the others test. No study is in both.
2. A gene's value in an experiment is the rank of its t among the genes that were measured there, from 0 to 1; studies
   count alike, however many experiments they have.
3. Candidates are genes of FerrDb V2, measured in two thirds of the studies of either kind, with a mean rank of 0.6 or
   more under ferroptosis. The 25 of them whose rank under ferroptosis exceeds that under apoptosis most have weight 1.
4. Candidates among the genes that the field reads as signs of ferroptosis, but which are not among the 25, have
   weight 0.5: they rise, and in apoptosis, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

SIGNS = ("CHAC1", "DDIT4", "HMOX1", "PTGS2", "SESN2", "SLC7A11", "TRIB3")
N_GENES, LEAST_RANK, MEASURED = 25, 0.6, 2 / 3


def main(contrasts: str, ferrdb: str) -> None:
    """Print the genes, and how they do on the studies that did not choose them."""
    ranks = pd.read_csv(contrasts, index_col=0, low_memory=False).replace([np.inf, -np.inf], np.nan).rank(pct=True)
    experiments = halves(list(ranks.columns))
    known = set(Path(ferrdb).read_text(encoding="utf-8").split())
    genes = chosen(ranks[ranks.index.isin(known)], experiments[experiments["makes"]])
    print(genes.sort_index().round(2).to_string())
    test = experiments[~experiments["makes"]]
    values = score(ranks, genes["weight"])[test.index]
    truth = test["kind"].eq("ferroptosis")
    print(f"\nheld out: {truth.sum()} ferroptosis, {(~truth).sum()} apoptosis: {roc_auc_score(truth, values):.3f}")


def halves(names: list[str]) -> pd.DataFrame:
    """Return kind, study and half of each experiment."""
    table = pd.DataFrame([name.split(" | ") for name in names], index=names, columns=["kind", "study"])
    table["study"] = table["study"].str.split().str[0]
    place = table.groupby("kind")["study"].transform(
        lambda s: s.map({name: i for i, name in enumerate(sorted(set(s)))})
    )
    return table.assign(makes=place % 2 == 0)


def chosen(ranks: pd.DataFrame, experiments: pd.DataFrame) -> pd.DataFrame:
    """Return weight and mean ranks of the chosen genes."""
    means = {}
    for kind, some in experiments.groupby("kind"):
        weight = 1 / some["study"].map(some["study"].value_counts())
        here = ranks[some.index]
        measured = (here.notna() * weight).sum(axis=1)
        means[kind] = (here * weight).sum(axis=1) / measured.where(measured >= MEASURED * weight.sum())
    table = pd.DataFrame(means).dropna()
    table = table[table["ferroptosis"] >= LEAST_RANK]
    order = (table["ferroptosis"] - table["apoptosis"]).sort_values(ascending=False, kind="stable").index
    weights = {g: 0.5 for g in SIGNS if g in table.index} | dict.fromkeys(order[:N_GENES], 1.0)
    return table.loc[list(weights)].assign(weight=weights)


def score(ranks: pd.DataFrame, weights: pd.Series) -> pd.Series:
    """Return the weighted mean rank of the genes in each experiment, over those that were measured there."""
    here = ranks.loc[weights.index]
    return here.mul(weights, axis=0).sum() / here.notna().mul(weights, axis=0).sum()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
