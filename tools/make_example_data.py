"""Write the example file from the cells that the infercnvpy package ships.

usage: python tools/make_example_data.py example_data/oligodendroglioma_tirosh2016.h5ad
needs: pip install infercnvpy (BSD-3-Clause)
"""

from __future__ import annotations

import sys

import infercnvpy
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData


def main(out: str) -> None:
    """Keep expression, the authors' labels and the tumour of each cell."""
    source = infercnvpy.datasets.oligodendroglioma()
    labels = source.obs["cell_type"].astype(str).to_numpy()
    adata = AnnData(
        sp.csr_matrix(source.X, dtype=np.float32),
        obs=pd.DataFrame({"author_label": labels, "patient": [c.split("_")[0] for c in source.obs_names]}),
        var=pd.DataFrame(index=source.var_names.astype(str)),
    )
    adata.obs_names = source.obs_names.astype(str)
    adata.uns["source"] = {
        "paper": "Tirosh et al. 2016, Nature, doi:10.1038/nature20123",
        "accession": "GSE70630 (subset)",
        "values": "TPM-like expression, not log-transformed",
        "obtained_from": "infercnvpy.datasets.oligodendroglioma(), BSD-3-Clause",
    }
    adata.write_h5ad(out, compression="gzip")
    print(adata)


if __name__ == "__main__":
    main(sys.argv[1])
