"""The head of the report: four numbers, and the cells on an embedding as the browser gets them."""

from __future__ import annotations

import base64
import json
import zlib

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from tamannot.pl._style import pretty
from tamannot.report import summarise
from tamannot.report._embedding import computed, overview


def unpacked(text: str, kind: str = "<u2") -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


def block_of(section):
    return next((b for b in section.blocks if b.kind == "embedding"), None)


@pytest.fixture
def placed(cohort) -> ad.AnnData:
    cohort.obsm["X_umap"] = np.random.default_rng(0).normal(size=(cohort.n_obs, 2)).astype(np.float32)
    return cohort


def test_four_numbers_stand_first(cohort, material):
    head = summarise(material).sections[0]
    here = cohort.obs["tam_compartment"] == "macrophage"
    said = dict(head.blocks[0].rows)
    assert said["cells"] == "300"
    assert said["macrophages"] == str(here.sum())
    for axis in ("a state", "an origin"):
        share = (cohort.obs[f"tam_{axis.split()[1]}"][here] != "unassigned").mean()
        assert said[f"of macrophages have {axis}"] == f"{100 * share:.0f}\u00a0%"


def test_without_macrophages_there_are_no_shares(cohort, of):
    for axis in ("origin", "state"):
        cohort.obs[f"tam_{axis}"] = pd.Categorical(["not_macrophage"] * cohort.n_obs)
    cohort.obs["tam_compartment"] = pd.Categorical(["t_nk"] * cohort.n_obs)
    assert [value for _, value in overview(of(cohort)).blocks[0].rows] == ["300", "0", "–", "–"]


def test_what_the_browser_gets_is_what_the_object_has(placed, of):
    cells = json.loads(block_of(overview(of(placed, sample_key="patient"))).cells)
    x, y = unpacked(cells["x"]), unpacked(cells["y"])
    places = placed.obsm["X_umap"]
    for units, mine in ((x / 65535, places[:, 0]), (1 - y / 65535, places[:, 1])):
        np.testing.assert_allclose(units * np.ptp(mine) + mine.min(), mine, atol=np.ptp(mine) / 65535)
    names = zlib.decompress(base64.b64decode(cells["cells"])).decode()
    assert names.split("\n") == list(placed.obs_names)
    for label in cells["labels"]:
        found = np.array(label["names"])[unpacked(label["data"])]
        column = "patient" if label["id"] == "sample" else f"tam_{label['id']}"
        assert list(found) == [pretty(str(v)) for v in placed.obs[column]]
    state = next(label for label in cells["labels"] if label["id"] == "state")
    assert state["colors"][:-1] == list(placed.uns["tam_state_colors"])
    values = {v["id"]: v for v in cells["values"]}
    assert set(placed.obsm["tam_z"]) <= set(values)
    for name, wanted in (
        ("lipid_associated", placed.obsm["tam_z"]["lipid_associated"]),
        ("state_prob", placed.obs["tam_state_prob"]),
    ):
        codes = unpacked(values[name]["data"], "u1")
        np.testing.assert_array_equal(codes == 255, wanted.isna())
        known = codes != 255
        shown = values[name]["low"] + values[name]["step"] * codes[known]
        np.testing.assert_allclose(shown, wanted[known], atol=values[name]["step"] * 0.51)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("X_tsne", "X_umap"), "UMAP of 300 cells"),
        (("X_scvi_mde", "X_spatial"), "SCVI MDE of 300 cells"),
        (("X_spatial", "spatial", "tam_z2"), None),
    ],
)
def test_umap_comes_first_and_tissue_is_no_embedding(cohort, of, names, found):
    for name in names:
        cohort.obsm[name] = np.random.default_rng(0).normal(size=(cohort.n_obs, 2))
    block = block_of(overview(of(cohort)))
    assert (block and block.title) == found


def test_cells_may_share_their_names(placed, of):
    expected = overview(of(placed)).blocks[-1]
    placed.obs_names = ["AAAC-1"] * placed.n_obs
    assert overview(of(placed)).blocks[-1].rows == expected.rows


def test_cells_without_a_place_are_not_drawn(placed, of):
    placed.obsm["X_umap"][7] = np.nan
    block = block_of(overview(of(placed)))
    assert json.loads(block.cells)["n"] == 299
    assert "Showing 299 of 300 cells" in block.note


def test_of_many_cells_some_are_drawn(placed, of, monkeypatch):
    monkeypatch.setattr("tamannot.report._embedding.MOST_DRAWN", 100)
    monkeypatch.setattr("tamannot.report._material.MOST_POINTS", 50)
    block = block_of(overview(of(placed)))
    assert "Showing 100 of 300 cells" in block.note


@pytest.mark.usefixtures("umap_kept")
def test_where_there_is_none_one_is_computed(cohort, of, monkeypatch):
    before = cohort.copy()
    one, other = (computed(cohort, of(cohort).run) for _ in range(2))
    assert one.shape == (300, 2)
    np.testing.assert_array_equal(one, other)
    apart = cohort.obs["tam_compartment"].eq("t_nk").to_numpy()
    assert np.linalg.norm(one[apart].mean(axis=0) - one[~apart].mean(axis=0)) > 2
    monkeypatch.setattr("tamannot.report._embedding.computed", lambda *_: one)
    block = block_of(overview(of(cohort)))
    assert block.note.startswith("The data have no embedding, so this one was computed")
    assert list(cohort.obsm) == list(before.obsm)


def test_of_few_cells_and_of_a_lost_matrix_none_is_computed(cohort, of):
    run = of(cohort).run
    assert computed(cohort[:20], run) is None
    assert overview(of(cohort)).blocks[1].text.startswith("No embedding is shown")
    assert computed(cohort[:, 5:], run) is None


def test_scores_are_offered_where_there_is_no_z(placed, of):
    del placed.obsm["tam_z"]
    cells = json.loads(block_of(overview(of(placed))).cells)
    groups = {v["group"] for v in cells["values"]}
    assert "scores: state" in groups
    del placed.obsm["tam_scores"]
    cells = json.loads(block_of(overview(of(placed))).cells)
    assert {v["group"] for v in cells["values"]} == {"Probability"}
    assert cells["strongest"] == []
