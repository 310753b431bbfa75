"""Make `pyucell_maxrank300_wneg0.5.csv` by pyUCell.

Run in an environment with pyucell: ``python pyucell_golden.py``. All 6,289 genes, so that zeros rank beyond
300 in every cell: where they do not, pyUCell leaves them out and R counts them.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import scipy.io
import scipy.sparse as sp

HERE = Path(__file__).parent


def main() -> None:
    """Score, and write the table and the versions."""
    import anndata as ad
    from pyucell import compute_ucell_scores

    counts = sp.csr_matrix(scipy.io.mmread(HERE / "pbmc80_counts.mtx"))
    cells, genes = ((HERE / f"pbmc80_{what}.txt").read_text().split() for what in ("cells", "genes"))
    data = ad.AnnData(counts, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))
    sets = json.loads((HERE / "signatures.json").read_text())
    compute_ucell_scores(data, sets, max_rank=300, w_neg=0.5, suffix="", n_jobs=1)
    data.obs[list(sets)].to_csv(HERE / "pyucell_maxrank300_wneg0.5.csv", float_format="%.9g")
    programs = ("pyucell", "numpy", "scipy")
    (HERE / "pyucell_versions.txt").write_text("".join(f"{p} {version(p)}\n" for p in programs))


if __name__ == "__main__":
    main()
