"""Data that the tests of the report share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from tamannot.data import write_analysis
from tamannot.report import Material, material_of

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--force-prefers-reduced-motion", "--hide-scrollbars"),  # what is clicked stands still
)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _few_and_small_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Painting takes most of the time: small where pictures are looked at, else left out."""
    monkeypatch.setattr("tamannot.report._embedding.computed", lambda *_: None)
    if request.module.__name__.rpartition(".")[2] in ("test_pictures", "test_browser", "test_embedding_browser"):
        monkeypatch.setattr("tamannot.report._analyses._MOST_CARDS", 1)
        monkeypatch.setattr("tamannot.report._blocks._DPI", 40)
    else:
        request.getfixturevalue("quick_pictures")


@pytest.fixture
def cohort(learned: ad.AnnData) -> ad.AnnData:
    """Simulated macrophages, said to be of four samples under two conditions."""
    number = np.arange(learned.n_obs) % 4
    learned.obs["patient"] = pd.Categorical([f"p{n}" for n in number])
    learned.obs["arm"] = pd.Categorical(np.where(number < 2, "before", "after"))
    return learned


@pytest.fixture
def material(cohort: ad.AnnData) -> Material:
    return material_of(cohort, name="the cohort", sample_key="patient", condition="arm")


@pytest.fixture
def hostile(cohort: ad.AnnData) -> ad.AnnData:
    """The cohort with names that a browser would run, or matplotlib would read as formulas."""
    run = cohort.uns["tamannot"]["tam"]
    gene = str(run["evidence"]["genes"].index[0])
    names = {gene: HOSTILE}
    cohort.var_names = cohort.var_names.to_series().replace(names).to_numpy()
    run["null_reference"]["gene_ids"] = np.array(list(cohort.var_names), dtype=object)
    run["coverage"].loc[run["coverage"].index[0], "missing"] = f'{HOSTILE},"><img src=x onerror=alert(1)>'
    run["warnings"] = np.array([f"</script>{HOSTILE}"], dtype=object)
    run["tissue"]["reason"] = "javascript:alert(1) {{ 7 * 7 }}"
    samples = {"p0": HOSTILE, "p1": r"$\frac{$", "p2": "'\" onmouseover=alert(1) x='", "p3": "日本 &amp; 🧬"}
    cohort.obs["patient"] = cohort.obs["patient"].cat.rename_categories(samples)
    cohort.obs_names = [f"{HOSTILE}{i}" for i in range(cohort.n_obs)]
    table = pd.DataFrame({HOSTILE: [HOSTILE], "p": [0.5]}, index=pd.Index([HOSTILE], name="label"))
    write_analysis(cohort, "tam", "composition", {HOSTILE: table, "cautions": np.array([HOSTILE], dtype=object)})
    return cohort


@pytest.fixture
def of() -> Callable[..., Material]:
    """Make material of an object."""

    def make(adata: ad.AnnData, **columns: str) -> Material:
        return material_of(adata, name="data", **columns)

    return make


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test of a module writes the page that all of them open."""
    return tmp_path_factory.mktemp("report") / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window, with a log of what it asks for."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()
