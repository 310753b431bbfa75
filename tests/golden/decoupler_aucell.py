"""Make `decoupler_aucell.csv` by decoupler's AUCell, on data without ties or zeros.

Run in an environment with decoupler: ``python decoupler_aucell.py``. Cell i holds ``(i + 1) g^3 mod 401`` for
the genes g = 1 to 400: a permutation of 1 to 400, so that any two programs rank alike.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
GENES = np.arange(1, 401)
VALUES = np.array([(i + 1) * GENES**3 % 401 for i in range(30)], float)
# Sets of 5, 20, 21 and 60 genes: below, at, above and far above the K = 20 ranks that count.
SETS = {
    "five": [f"g{g}" for g in GENES[3::79]][:5],
    "twenty": [f"g{g}" for g in GENES[0::19]][:20],
    "twenty_one": [f"g{g}" for g in GENES[1::17]][:21],
    "sixty": [f"g{g}" for g in GENES[5::6]][:60],
}


def main() -> None:
    """Score, and write the table and the versions."""
    import anndata as ad
    import decoupler as dc

    obs, var = pd.DataFrame(index=[f"c{i}" for i in range(30)]), pd.DataFrame(index=[f"g{g}" for g in GENES])
    data = ad.AnnData(VALUES, obs=obs, var=var)
    net = pd.DataFrame([(name, gene) for name, genes in SETS.items() for gene in genes], columns=["source", "target"])
    dc.mt.aucell(data, net, tmin=5)
    data.obsm["score_aucell"][list(SETS)].to_csv(HERE / "decoupler_aucell.csv", float_format="%.10f")
    programs = ("decoupler", "numpy", "scipy")
    (HERE / "decoupler_versions.txt").write_text("".join(f"{p} {version(p)}\n" for p in programs))


if __name__ == "__main__":
    main()
