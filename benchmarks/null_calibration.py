"""Is the matched null calibrated? Random signatures with the expression of real ones, in real cells.

usage: python benchmarks/null_calibration.py FILE.h5ad … [--sets 1000] [--cells 2000]

Each random signature takes a signature of the library at random, draws 5 to 60 of its genes with replacement,
and replaces each by a random gene of the same expression bin, none twice. What is said of them should be
nothing: a share of 0.05 of all p below 0.05, 0.001 below 0.001, and a mean z near 0 for each.
"""

from __future__ import annotations

import argparse
import warnings

import anndata as ad
import numpy as np

import tamannot as tam


def random_signatures(adata: ad.AnnData, n: int) -> tam.SignatureSet:
    """Return ``n`` random signatures matched in expression to those of the library."""
    rng = np.random.default_rng(0)
    library = tam.load_signatures()
    tam.tl.score(adata, library, null="matched", min_coverage=0, key_added="bins")
    reference = adata.uns["tamannot"]["bins"]["null_reference"]
    ids, bin_of = np.asarray(reference["gene_ids"]), np.asarray(reference["bin"])
    column = {gene: i for i, gene in enumerate(ids)}
    members = {b: np.flatnonzero(bin_of == b) for b in np.unique(bin_of)}
    sources = [
        [column[g] for g in (x.symbol for x in s.all_genes) if g in column] for s in library.values() if not s.modules
    ]
    sources = [s for s in sources if s]
    drawn = {}
    for i in range(n):
        like = rng.choice(sources[rng.integers(len(sources))], rng.integers(5, 61))
        genes = {int(rng.choice(members[bin_of[g]])) for g in like}
        if len(genes) >= 5:
            drawn[f"r{i}"] = [str(ids[g]) for g in sorted(genes)]
    return tam.read_signatures(drawn)


def main() -> None:
    """Print what the null says of signatures that mean nothing."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("files", nargs="+")
    asked.add_argument("--sets", type=int, default=1000)
    asked.add_argument("--cells", type=int, default=2000)
    args = asked.parse_args()
    warnings.simplefilter("ignore")
    print(print("file" + " " * 47 + "sets  p known   p<0.05   p<0.01  p<0.001   mean z  spread"))
    for path in args.files:
        adata = ad.read_h5ad(path)
        adata = adata[: args.cells].copy()
        sets = random_signatures(adata, args.sets)
        for method in ("ucell", "aucell"):
            tam.tl.score(adata, sets, method=method, null="matched", min_coverage=0, key_added="r")
            z, p = (tam.get.scores(adata, "r", kind=kind).to_numpy() for kind in ("z", "p"))
            known = p[np.isfinite(p)]
            shares = [(known < level).mean() for level in (0.05, 0.01, 0.001)]
            means = z.mean(axis=0)
            name = f"{path.rsplit('/', 1)[-1][:40]} {method}"
            print(
                f"{name:<50} {len(sets):>5} {np.isfinite(p).mean():>8.2f} {shares[0]:>8.4f} {shares[1]:>8.4f} "
                f"{shares[2]:>8.5f} {means.mean():>8.3f} {means.std():>7.3f}"
            )


if __name__ == "__main__":
    main()
