"""What a user who checks types would write; mypy --strict must know every type in it.

It is checked, not run: ``tests/test_typing.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import pandas as pd
from anndata import AnnData  # type: ignore[import-untyped, unused-ignore]  # typed from 0.13 on
from matplotlib.axes import Axes

import tamannot as tam
from tamannot.errors import CoverageWarning, MatrixError, TamannotError


def signatures(folder: Path) -> tam.SignatureSet:
    """Read, choose and write signatures."""
    mine = tam.read_signatures({"mine": ["CD68", "SPP1", "CD3E-"]})
    tam.write_signatures(mine, folder / "mine.gmt", format="gmt")
    tam.write_signatures([tam.load_signature("m1")], folder / "m1.gmt")
    one = assert_type(tam.load_signature("lipid_associated@1.0.0"), tam.Signature)
    assert_type(one.genes[0], tam.Gene)
    assert_type(one.genes[0].symbol, str)
    assert_type([one.id for one in mine.values()], list[str])
    return tam.load_signatures(axis=["state", "overlay"], species="human")


def annotate(adata: AnnData, folder: Path) -> pd.DataFrame:
    """Annotate, score and read back."""
    assert_type(tam.tl.annotate(adata, tissue="brain", target_accuracy=0.9, rng=1), AnnData | None)
    tam.tl.score(adata, signatures(folder), null="matched", min_coverage=0)
    tam.tl.score(adata, mine(), method=tam.UCell(max_rank=500), key_added="mine")
    tam.tl.score(adata, mine(), method={"a": "ucell", "b": tam.AUCell(), "c": tam.WeightedMean()})
    scored = tam.tl.annotate(adata, copy=True)
    assert scored is not None
    assert_type(tam.get.scores(scored, kind="z"), pd.DataFrame)
    assert_type(tam.get.coverage(scored), pd.DataFrame)
    assert_type(tam.get.evidence(scored, 0), pd.DataFrame)
    assert_type(tam.get.score_adata(scored), AnnData)
    return tam.get.annotations(scored)


def mine() -> tam.Signature:
    """Make a signature by hand."""
    return tam.read_signatures({"mine": ["CD68", "SPP1"]})["mine"]


def models(adata: AnnData, path: Path) -> tam.Model:
    """Train, save, load and apply."""
    trained = assert_type(tam.tl.train(adata, "cell_type", sample_key="sample"), tam.Model)
    assert_type(tam.tl.train(adata, sample_key="sample"), tam.AnchoredModel)
    trained.save(path)
    loaded = assert_type(tam.load_model(path), tam.Model | tam.AnchoredModel)
    if isinstance(loaded, tam.AnchoredModel):
        tam.tl.annotate(adata, model=loaded)
        return trained
    assert_type(loaded.predict(adata, key_added="mine"), AnnData | None)
    assert_type(loaded.classes, tuple[str, ...])
    return loaded


def analyses(adata: AnnData) -> dict[str, pd.DataFrame]:
    """Compare samples."""
    tam.tl.composition(adata, "sample", condition="condition")
    tam.tl.crosstalk(adata, "sample", malignant="is_malignant")
    tam.tl.enrich(adata, "leiden", sample_key="sample")
    return {
        "composition": tam.get.composition(adata, table="shares"),
        "crosstalk": tam.get.crosstalk(adata, kind="samples"),
        "enrichment": tam.get.enrichment(adata),
    }


def pictures(adata: AnnData, ax: Axes) -> list[Axes]:
    """Draw."""
    drawn = [
        tam.pl.states(adata, ax=ax),
        tam.pl.origins(adata, groupby="sample"),
        tam.pl.composition(adata),
        tam.pl.state_by_origin(adata),
        tam.pl.scores(adata, ["m1", "m2"]),
        tam.pl.scores(adata, {"mine": ["CD68", "SPP1"]}),
        tam.pl.evidence(adata, 0),
    ]
    return assert_type(drawn, list[Axes])


def files(folder: Path) -> None:
    """Annotate files and write a report."""
    try:
        tam.annotate_file(folder / "in.h5ad", folder / "out.h5ad", table="out.csv", tissue="brain", overwrite=True)
    except (MatrixError, TamannotError) as error:
        assert_type(str(error), str)
    tam.write_report(tam.datasets.oligodendroglioma(), folder / "report.html")
    tam.settings.threads = 2
    tam.settings.verbosity = 2
    tam.settings.verbosity = "warning"
    assert_type(tam.__version__, str)
    assert_type(issubclass(CoverageWarning, UserWarning), bool)
