"""The most probable state of glioma macrophages beside what users do today, probabilities, models of other donors.

usage: python benchmarks/accuracy.py FOLDER [--pictures docs/images]

FOLDER holds ``glioma_myeloid_semisynthetic_dev.h5ad``, which is annotated with the defaults. Prints Markdown. What
calls are worth is printed by ``calls.py``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
from _glioma import LEFT_OUT, STATES, Glioma, annotated, today, without_source
from sklearn.metrics import roc_auc_score

import tamannot as tam


def main() -> None:
    """Print, and draw, what is right of the states, with the bundled signatures and without one source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder to draw the pictures into")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    tam.settings.progress = False
    adata, to = ad.read_h5ad(asked.folder / "glioma_myeloid_semisynthetic_dev.h5ad"), asked.pictures
    truth, done = Glioma(adata), annotated(adata)
    less = annotated(adata, signatures=without_source())
    scores = today(adata.copy(), truth) | {
        "tamannot": done.obsm["tam_state_proba"][STATES].to_numpy(),
        f"tamannot without {LEFT_OUT}'s genes": less.obsm["tam_state_proba"][STATES].to_numpy(),
    }
    best = {name: truth.balanced(s) for name, s in scores.items()}
    print("\n| most probable of four states | balanced accuracy (95 % over donors) |\n|---|---|")
    for name, (value, low, high) in best.items():
        print(f"| {name} | {value:.3f} ({low:.3f} to {high:.3f}) |")
    print("\n| figure | all signatures | without miller2025's genes |\n|---|---|---|")
    for one, other in zip(truth.calls(done), truth.calls(less), strict=True):
        print(f"| {one} | {other.split('|')[1].strip()} |")
    for overlay in ("hypoxic", "proliferating"):
        is_there = adata.obs[f"truth_{overlay}"].astype(str) == "True"
        print(
            f"| AUROC of z over all cells, {overlay} | {roc_auc_score(is_there, done.obsm['tam_z'][overlay]):.4f} | |"
        )
    carried(adata, truth)
    if to:
        import _accuracy_pictures as pictures

        pictures.modes(best, to)
        pictures.reliability(truth, done, less, to)


def carried(adata: ad.AnnData, truth: Glioma) -> None:
    """Print what a model of four donors calls in two others, and how many cells of the first are strange to it."""
    mine, cells = np.isin(truth.donor, ["d0", "d1", "d2", "d3"]), truth.labelled & np.isin(truth.donor, ["d4", "d5"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tam.tl.train(adata[mine].copy(), sample_key="donor")
    others = adata[~mine].copy()
    ways = {"fitted to the two donors themselves": {}, "model of the other four": {"model": model}}
    print("\n| | states called | right | unfamiliar |\n|---|---|---|---|")
    for name, options in ways.items():
        obs = annotated(others, **options).obs
        call, right = obs["tam_state"].astype(str).to_numpy()[cells[~mine]], truth.truth[cells]
        known = np.isin(call, STATES)
        strange = (obs["tam_state_status"] == "unfamiliar").to_numpy()[cells[~mine]]
        print(f"| {name} | {known.mean():.3f} | {(call == right)[known].mean():.3f} | {strange.mean():.3f} |")


if __name__ == "__main__":
    main()
