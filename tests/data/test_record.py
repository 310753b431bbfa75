"""A record that was damaged or edited is refused in a sentence; what does not need it is read."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.errors import TamannotError
from tamannot.report import summarise
from tamannot.report._material import material_of

pytestmark = [pytest.mark.filterwarnings("ignore")]

_OTHERS = (7, "text", np.array([1.5, 2.5]), np.array(["a", "b"], dtype=object), {}, pd.DataFrame({"x": [1]}))


@pytest.fixture(scope="module")
def analysed() -> ad.AnnData:
    parts = {"macrophage": 0.8, "t_nk": 0.2}
    adata = tam.datasets.simulate(40, n_samples=4, n_genes=700, composition=parts, rng=5)
    adata.obsm["spatial"] = np.random.default_rng(0).uniform(0, 1, (adata.n_obs, 2))
    adata.obs["margin"] = adata.obsm["spatial"][:, 0]
    tam.tl.annotate(adata, tissue="brain", sample_key="sample")
    tam.tl.score(adata, {"mine": ["APOE", "SPP1"]}, min_coverage=0)
    tam.tl.composition(adata, "sample", condition="condition", min_cells=2)
    tam.tl.enrich(adata, "sample", signatures="state", method="permutation", n_permutations=20)
    tam.tl.ferroptosis_summary(adata, "sample", min_cells=2)
    tam.tl.claims(adata, "sample", min_cells=4)
    tam.tl.regions(adata, distance="margin", sample_key="sample")
    return adata


def places(record: Mapping, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in record.items():
        yield (*above, name)
        if isinstance(value, Mapping):
            yield from places(value, (*above, name))


def reads(adata: ad.AnnData) -> dict:
    return {
        "scores": lambda: tam.get.scores(adata),
        "coverage": lambda: tam.get.coverage(adata),
        "score_adata": lambda: tam.get.score_adata(adata),
        "annotations": lambda: tam.get.annotations(adata),
        "evidence": lambda: tam.get.evidence(adata, 3),
        "contributions": lambda: tam.get.contributions(adata, 3, axis="state"),
        "composition": lambda: tam.get.composition(adata),
        "enrichment": lambda: tam.get.enrichment(adata),
        "ferroptosis": lambda: tam.get.ferroptosis(adata),
        "claims": lambda: tam.get.claims(adata),
        "regions": lambda: tam.get.regions(adata),
        "pl.origins": lambda: tam.pl.origins(adata),
        "pl.scores": lambda: tam.pl.scores(adata),
        "report": lambda: summarise(material_of(adata, name="cells")),
    }


@contextmanager
def damaged(adata: ad.AnnData, place: tuple[str, ...], value: object) -> Iterator[ad.AnnData]:
    """Give out the cells with another value at a place of their record; None removes it."""
    whole = adata.uns["tamannot"]
    adata.uns["tamannot"] = copy.deepcopy(whole)
    *above, last = place
    section = adata.uns["tamannot"]
    for name in above:
        section = section[name]
    if value is None:
        del section[last]
    else:
        section[last] = copy.deepcopy(value)
    yield adata
    adata.uns["tamannot"] = whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "step"), [(0, 180), *(pytest.param(i, 36, marks=pytest.mark.nightly) for i in range(36))]
)
def test_whatever_is_damaged_is_said(analysed, without_pictures, first, step):
    """Each part is other places, with other values, of all pairs of the two; at night all are looked at."""
    every = [(place, value) for place in places(analysed.uns["tamannot"]) for value in (None, *_OTHERS)]
    bare = []
    for place, value in every[first::step]:
        with damaged(analysed, place, value) as adata:
            for name, read in reads(adata).items():
                try:
                    read()
                except TamannotError as error:
                    bare += [(place, name, "no sentence")] if len(str(error)) < 20 else []
                except Exception as error:  # noqa: BLE001 - that is what is looked for
                    bare.append((place, type(value).__name__, name, repr(error)[:120]))
                finally:
                    plt.close("all")
    assert not bare


def test_the_damage_is_named(analysed):
    said = r"uns\['tamannot'\]\['tam'\]\['coverage'\].*should be a table.*again"
    with damaged(analysed, ("tam", "coverage"), 7) as adata, pytest.raises(TamannotError, match=said):
        tam.get.coverage(adata)
    with damaged(analysed, ("tam", "matrix", "kind"), "numbers") as adata:
        with pytest.raises(TamannotError, match=r"\['matrix'\], is damaged or was edited: kind"):
            tam.get.contributions(adata, 3)
        again = adata.copy()
    tam.tl.annotate(again, tissue="brain")
    tam.get.contributions(again, 3)


@pytest.mark.parametrize("value", ["v1", 3, ["a"], np.array([1, 2])])
def test_what_is_not_tamannots_is_refused_before_anything_is_written(example, value, tmp_path):
    example.uns["tamannot"] = value
    for call in (
        lambda: tam.tl.annotate(example),
        lambda: tam.tl.score(example, {"mine": ["CD68"]}),
        lambda: tam.get.coverage(example),
    ):
        with pytest.raises(TamannotError, match=r"adata\.uns\['mine'\] = adata\.uns\.pop\('tamannot'\)"):
            call()
    assert not [c for c in (*example.obs, *example.obsm) if str(c).startswith("tam_")]
    if not isinstance(value, list):
        example.write_h5ad(tmp_path / "a.h5ad")
        with pytest.raises(TamannotError, match="Rename it"):
            tam.annotate_file(tmp_path / "a.h5ad", tmp_path / "b.h5ad")
        assert not (tmp_path / "b.h5ad").exists()
