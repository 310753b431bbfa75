"""Scores over a tissue."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import tamannot as tam
import tamannot.data as slots
from tamannot.errors import ParameterError, ResultNotFoundError

SIGNATURES = ["rising", "falling", "flat"]


def _tissue(n_samples: int = 6, n_spots: int = 120, *, slope: float = 0.0, rng: int = 0, n_flat: int = 1) -> ad.AnnData:
    """Spots on a square whose scores vary smoothly, as neighbours do, with a slope along x."""
    random = np.random.default_rng(rng)
    where = random.uniform(0, 1, (n_samples, n_spots, 2))
    columns = []
    for sign in (slope, -slope, *[0.0] * n_flat):
        phase, wave = random.uniform(0, 2 * np.pi, (2, n_samples, 1)), random.uniform(2, 7, (n_samples, 1, 2))
        field = np.sin((where * wave).sum(axis=2) + phase[0]) + np.cos((where * wave[..., ::-1]).sum(axis=2) + phase[1])
        columns.append((sign * where[..., 0] + field + random.normal(0, 0.3, field.shape)).ravel())
    names = ["rising", "falling", *(["flat"] if n_flat == 1 else [f"flat{i}" for i in range(n_flat)])]
    obs = pd.DataFrame(index=[f"s{i}" for i in range(n_samples * n_spots)])
    obs["sample"] = pd.Categorical(np.repeat([f"p{i}" for i in range(n_samples)], n_spots))
    obs["distance"] = where[..., 0].ravel()
    obs["region"] = pd.Categorical(np.where(obs["distance"] > 0.5, "margin", "core"))
    adata = ad.AnnData(np.zeros((len(obs), 1), np.float32), obs=obs)
    adata.obsm["spatial"] = where.reshape(-1, 2)
    slots.write_record(adata, "tam", {"method": "ucell"})
    slots.write_tables(adata, "tam", names, {"score": np.stack(columns, axis=1)})
    return adata


@pytest.mark.parametrize("by", [{"distance": "distance"}, {"region": "region"}], ids=["distance", "region"])
def test_planted_gradient_is_found(by):
    adata = _tissue(slope=6.0)
    tam.tl.regions(adata, **by, sample_key="sample")
    table = tam.get.regions(adata).set_index("signature")
    effect = table["correlation" if "distance" in by else "difference"]
    assert effect["rising"] > 0.5
    assert effect["falling"] < -0.5
    assert table.loc[["rising", "falling"], "q"].max() < 0.01
    assert (table["low"] <= effect).all()
    assert (effect <= table["high"]).all()
    assert (table["n_samples"] == 6).all()
    assert (table["n_spots"] == 720).all()


def test_one_signature_may_be_given_by_its_name():
    adata = _tissue()
    tam.tl.regions(adata, distance="distance", sample_key="sample", signatures="flat")
    assert tam.get.regions(adata)["signature"].tolist() == ["flat"]


@pytest.mark.parametrize("by", [{"distance": "distance"}, {"region": "region"}], ids=["distance", "region"])
def test_p_is_calibrated_where_there_is_no_gradient(by):
    p, of_spots = [], []
    for rng in range(12):
        adata = _tissue(n_spots=60, n_flat=60, rng=rng)
        tam.tl.regions(adata, **by, sample_key="sample")
        p.append(tam.get.regions(adata)["p"].to_numpy())
        scores = tam.get.scores(adata).to_numpy()
        x = adata.obs["distance"].to_numpy()
        of_spots.append([scipy.stats.spearmanr(s, x).pvalue for s in scores.T[:20]])
    share = np.mean(np.concatenate(p) < 0.05)
    assert 0.03 <= share <= 0.07
    # what it is for: p over spots, which are alike where they are near, are not
    assert np.mean(np.concatenate(of_spots) < 0.05) > 0.2


def test_correlation_of_a_sample_is_scipys():
    adata = _tissue(n_samples=2, slope=1.0)
    adata.obs.iloc[:30, adata.obs.columns.get_loc("distance")] = np.nan
    tam.tl.regions(adata, distance="distance", sample_key="sample", signatures=pd.Index(["rising"]))
    ours = tam.get.regions(adata, kind="samples").set_index("sample")
    for name, n in (("p0", 90), ("p1", 120)):
        mine = (adata.obs["sample"] == name) & adata.obs["distance"].notna()
        theirs = scipy.stats.spearmanr(adata.obs.loc[mine, "distance"], tam.get.scores(adata).loc[mine, "rising"])
        assert ours.loc[name, "correlation"] == pytest.approx(theirs.statistic)
        assert ours.loc[name, "n_spots"] == n


def test_difference_is_that_of_means_in_each_sample():
    adata = _tissue(n_samples=3, slope=2.0)
    tam.tl.regions(adata, region="region", sample_key="sample")
    ours = tam.get.regions(adata, kind="samples").set_index(["sample", "signature"])["difference"]
    scores = tam.get.scores(adata)["flat"].groupby([adata.obs["sample"], adata.obs["region"]], observed=True).mean()
    for name in ("p0", "p1", "p2"):
        assert ours[name, "flat"] == pytest.approx(scores[name, "margin"] - scores[name, "core"])
    row = tam.get.regions(adata).iloc[0]
    assert (row["region"], row["reference"]) == ("margin", "core")


def test_each_pair_of_regions_is_compared_and_adjusted_together():
    adata = _tissue()
    adata.obs["region"] = pd.cut(adata.obs["distance"], [0, 0.3, 0.6, 1], labels=["core", "rim", "brain"])
    tam.tl.regions(adata, region="region", sample_key="sample")
    table = tam.get.regions(adata)
    pairs = list(dict.fromkeys(zip(table["region"], table["reference"], strict=True)))
    assert pairs == [("rim", "core"), ("brain", "core"), ("brain", "rim")]
    np.testing.assert_allclose(table["q"], scipy.stats.false_discovery_control(table["p"]))


def test_one_sample_has_a_value_and_no_p():
    adata = _tissue(n_samples=1, slope=5.0)
    tam.tl.regions(adata, distance="distance")
    table = tam.get.regions(adata).set_index("signature")
    assert table.loc["rising", "correlation"] > 0.5
    assert table[["low", "high", "p", "q"]].isna().all(axis=None)
    assert any("there is no p" in c for c in table.attrs["cautions"])


def test_samples_and_signatures_without_a_value_are_said():
    adata = _tissue(n_samples=3)
    adata.obsm["tam_scores"]["flat"] = np.float32(np.nan)
    last = (adata.obs["sample"] == "p2").to_numpy()
    adata.obs.loc[last & (np.arange(adata.n_obs) % 15 > 0), "region"] = np.nan
    tam.tl.regions(adata, region="region", sample_key="sample")
    table = tam.get.regions(adata).set_index("signature")
    assert table.loc["flat", "n_samples"] == 0
    assert table.loc["rising", "n_samples"] == 2
    said = " ".join(table.attrs["cautions"])
    assert "p2" in said
    assert "No value: flat" in said
    assert "Only 2 samples" in said


def test_results_are_written_and_read(tmp_path):
    adata = _tissue()
    done = tam.tl.regions(adata, region="region", sample_key="sample", copy=True)
    assert "regions" not in adata.uns["tamannot"]["tam"]
    done.write_h5ad(tmp_path / "done.h5ad")
    again = ad.read_h5ad(tmp_path / "done.h5ad")
    for kind in ("tests", "samples"):
        was, now = tam.get.regions(done, kind=kind), tam.get.regions(again, kind=kind)
        pd.testing.assert_frame_equal(was, now, check_dtype=False, check_index_type=False, check_column_type=False)
    assert now.attrs["region"] == "region"
    assert now.attrs["distance"] == ""


def test_nothing_is_said_without_coordinates():
    adata = _tissue()
    where = adata.obsm.pop("spatial")
    with pytest.raises(ParameterError, match="need coordinates"):
        tam.tl.regions(adata, region="region", sample_key="sample")
    adata.obsm["spatial"] = where[:, :1]
    with pytest.raises(ParameterError, match="two or three finite numbers"):
        tam.tl.regions(adata, region="region", sample_key="sample")


def test_what_cannot_be_done_is_refused():
    adata = _tissue()
    adata.obs["one"] = "core"
    for arguments, match in [
        ({}, "never inferred"),
        ({"region": "region", "distance": "distance"}, "never inferred"),
        ({"region": "core"}, "No column 'core'"),
        ({"region": "one"}, "1 regions"),
        ({"distance": "region"}, r"is not numeric. Pass regions as region='region'"),
        ({"distance": "distance", "signatures": ["lam"]}, "'lam' was not scored"),
    ]:
        with pytest.raises(ParameterError, match=match):
            tam.tl.regions(adata, **arguments)
    with pytest.raises(ResultNotFoundError, match=r"tl\.regions"):
        tam.get.regions(adata)
    with pytest.raises(ResultNotFoundError):
        tam.tl.regions(adata, distance="distance", key="other")
    tam.tl.regions(adata, distance="distance")
    with pytest.raises(ParameterError, match="kind must be one of"):
        tam.get.regions(adata, kind="region")
