"""Draw the picture of the README from the example data.

usage: python tools/make_readme_picture.py docs/images/states.png
"""

from __future__ import annotations

import sys
import warnings

import matplotlib as mpl

import tamannot as tam


def main(out: str) -> None:
    """Annotate the example and draw states by origin."""
    mpl.use("Agg")
    adata = tam.datasets.oligodendroglioma()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tam.errors.TamannotWarning)
        tam.tl.annotate(adata)
    ax = tam.pl.states(adata)
    ax.set_title("Macrophages of 184 oligodendroglioma cells, by origin", loc="left", fontsize="medium")
    ax.figure.savefig(out, dpi=150)


if __name__ == "__main__":
    main(sys.argv[1])
