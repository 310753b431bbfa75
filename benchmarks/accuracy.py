"""The most probable state of glioma macrophages, beside what users do today, and whether probabilities come true.

usage: python benchmarks/accuracy.py FOLDER [--pictures docs/images]

FOLDER holds ``glioma_myeloid_semisynthetic_dev.h5ad``, which is annotated with the defaults. Prints Markdown. What
calls are worth is printed by ``calls.py``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import anndata as ad
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
    print("\n| best of four states | balanced accuracy (95 % over donors) |\n|---|---|")
    for name, (value, low, high) in best.items():
        print(f"| {name} | {value:.3f} ({low:.3f} to {high:.3f}) |")
    print("\n| figure | all signatures | without the source |\n|---|---|---|")
    for one, other in zip(truth.calls(done), truth.calls(less), strict=True):
        print(f"| {one} | {other.split('|')[1].strip()} |")
    for overlay in ("hypoxic", "proliferating"):
        is_there = adata.obs[f"truth_{overlay}"].astype(str) == "True"
        print(
            f"| AUROC of z over all cells, {overlay} | {roc_auc_score(is_there, done.obsm['tam_z'][overlay]):.4f} | |"
        )
    if to:
        import _accuracy_pictures as pictures

        pictures.modes(best, to)
        pictures.reliability(truth, done, less, to)


if __name__ == "__main__":
    main()
