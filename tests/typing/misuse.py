"""What a user who checks types must be told; ``tests/test_typing.py`` wants an error in each line with ``tam.``."""

import tamannot as tam


def misuse() -> None:
    """Do what cannot work."""
    tam.tl.anotate()
    tam.pl.states("cells.h5ad", groupby=1)
    tam.load_signature(axis="state")
    tam.load_signature("m1").genes[0].symbol = 1
    tam.get.scores(tam.datasets.simulate(), kind="r")
