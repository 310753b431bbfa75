"""Enrichment of signatures in groups of cells."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.analysis._enrichment import name_clusters
from tamannot.analysis._gene_rankings import Groups, Ranking, Settings, _without_ties, gene_sets, prerank, rank_genes
from tamannot.analysis._samples import samples_of
from tamannot.data import unpack

STATES = ("immunoregulatory", "inflammatory", "interferon_primed", "lipid_associated")


QUICK = {"method": "permutation", "n_permutations": 100}


FIGURES = {"es": "ES", "nes": "NES", "p": "NOM p-val", "q": "FDR q-val"}


@pytest.fixture(scope="module")
def _cohort() -> ad.AnnData:
    adata = tam.datasets.simulate(
        150,
        n_samples=4,
        n_genes=2500,
        composition={"macrophage": 0.75, "t_nk": 0.25},
        states=dict.fromkeys(STATES, 0.2),
        rng=4,
    )
    tam.tl.score(adata, tam.load_signatures(axis="origin"), min_coverage=0)
    for axis in ("compartment", "origin", "state"):
        truth = adata.obs[f"truth_{axis}"].astype(str)
        adata.obs[f"tam_{axis}"] = pd.Categorical(truth.replace("unclear", "unassigned"))
    return adata


@pytest.fixture
def cohort(_cohort: ad.AnnData) -> ad.AnnData:
    """Four samples of macrophages and T cells, called as they are."""
    return _cohort.copy()


def _first(adata: ad.AnnData) -> dict[str, str]:
    table = tam.get.enrichment(adata)
    return table[table["rank"] == 1].set_index("group")["signature"].to_dict()


@pytest.mark.parametrize("sample_key", ["sample", None])
def test_planted_states_are_first(cohort, sample_key):
    tam.tl.enrich(cohort, "tam_state", sample_key=sample_key, signatures="state", **QUICK)
    assert _first(cohort) == {s: s for s in STATES}
    table = tam.get.enrichment(cohort)
    assert set(table["unit"]) == {"sample" if sample_key else "cell"}
    assert table["n_samples"].between(*((3, 4) if sample_key else (0, 0))).all()
    assert (table.loc[table["rank"] == 1, "q"] < 0.01).all()


@pytest.mark.parametrize("method", ["multilevel", "permutation"])
def test_figures_are_gseapys(cohort, method):
    import gseapy

    signatures = tam.load_signatures(axis=("state", "overlay"))
    tam.tl.enrich(
        cohort, "tam_state", signatures=signatures, sample_key="sample", method=method, n_permutations=60, rng=11
    )
    ours = tam.get.enrichment(cohort)
    ours = ours[ours["group"] == "inflammatory"].set_index("signature")

    data = unpack(cohort, signatures)
    here = cohort.obs["tam_state"] != "not_macrophage"
    codes, names = pd.factorize(cohort.obs["tam_state"].astype(str).where(here), sort=True)
    groups = Groups(tuple(names), codes, ("inflammatory",))
    ranking = rank_genes(data, groups, samples_of(cohort, "sample"), threads=1)["inflammatory"]
    symbols = cohort.var_names[ranking.columns]
    sets = {s.id: [g.symbol for g in s.all_genes if g.direction == "up"] for s in signatures.values()}
    theirs = gseapy.prerank(
        rnk=pd.Series(ranking.values, index=symbols),
        gene_sets=sets,
        outdir=None,
        min_size=5,
        max_size=500,
        permutation_num=60,
        method=method,
        eps=1e-10,
        seed=11,
        threads=1,
    ).res2d.set_index("Term")
    assert set(theirs.index) == set(ours.index)
    theirs = theirs.loc[ours.index]
    for name, theirs_name in FIGURES.items():
        np.testing.assert_allclose(ours[name], theirs[theirs_name].astype(float), rtol=1e-12, err_msg=name)
    assert ours["leading_edge"].tolist() == theirs["Lead_genes"].tolist()
    assert ours["n_genes"].tolist() == [len(set(sets[i]) & set(symbols)) for i in ours.index]


def test_same_seed_same_bits_whatever_the_threads(cohort, monkeypatch):
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(tam.settings, "threads", threads)
        tam.tl.enrich(cohort, "tam_state", signatures="overlay", sample_key="sample", rng=3)
        found.append(tam.get.enrichment(cohort))
    pd.testing.assert_frame_equal(*found, check_exact=True)
    tam.tl.enrich(cohort, "tam_state", signatures="overlay", sample_key="sample", rng=np.random.default_rng(3))
    assert not tam.get.enrichment(cohort)["nes"].equals(found[0]["nes"])


def test_clusters_are_named_beside_what_their_cells_were_called(cohort):
    tam.tl.enrich(cohort, "tam_state", sample_key="sample", compartment="macrophage", signatures="state", **QUICK)
    table = tam.get.enrichment(cohort, kind="clusters").set_index("group")
    assert table["state"].to_dict() == {s: s for s in STATES}
    assert table["state_agree"].all()
    assert (table["state_share"] == 1).all()
    assert "unassigned" not in table.index


def test_states_are_not_named_where_macrophages_stand_beside_other_cells(cohort):
    cohort.obs["cluster"] = np.where(cohort.obs["tam_compartment"] == "t_nk", "0", "1")
    few = cohort[np.r_[np.flatnonzero(cohort.obs["cluster"] == "0"), np.flatnonzero(cohort.obs["cluster"] == "1")[:99]]]
    few = few.copy()
    tam.tl.enrich(few, "cluster", signatures=tam.load_signatures(axis=("compartment", "state")), **QUICK)
    table = tam.get.enrichment(few, kind="clusters").set_index("group")
    assert table["compartment"].to_dict() == {"0": "t_nk", "1": "macrophage"}
    assert table["state"].to_dict() == {"0": "not_macrophage", "1": "unassigned"}
    assert any("compartment='macrophage'" in c for c in table.attrs["cautions"])


def test_cluster_without_a_program_has_no_name(cohort):
    inside = cohort[cohort.obs["tam_compartment"] == "macrophage"].copy()
    inside.obs["cluster"] = np.random.default_rng(0).choice(["a", "b"], inside.n_obs)
    tam.tl.enrich(inside, "cluster", sample_key="sample", signatures="state", **QUICK)
    table = tam.get.enrichment(inside, kind="clusters")
    assert table["state"].tolist() == ["unassigned", "unassigned"]
    assert table["state_nes"].notna().all()


def test_one_large_sample_does_not_decide(cohort):
    inside = cohort[cohort.obs["tam_compartment"] == "macrophage"].copy()
    lam = (inside.obs["tam_state"] == "lipid_associated").to_numpy()
    big = (inside.obs["sample"] == inside.obs["sample"].cat.categories[0]).to_numpy()
    # In the first sample the group is of the lipid-associated cells, elsewhere of none of them.
    group = np.where(big, lam, ~lam & (np.arange(inside.n_obs) % 4 == 0))
    inside.obs["cluster"] = np.where(group, "a", "b")
    inside = inside[big | ~lam].copy()
    first = np.flatnonzero(inside.obs["sample"] == inside.obs["sample"].cat.categories[0])
    rows = np.r_[np.arange(inside.n_obs), first, first, first]
    obs = inside.obs.iloc[rows].set_axis([f"c{i}" for i in range(rows.size)])
    inside = ad.AnnData(inside.X[rows], obs=obs, var=inside.var, uns=inside.uns)
    nes = {}
    for sample_key in ("sample", None):
        tam.tl.enrich(inside, "cluster", sample_key=sample_key, signatures="state", **QUICK)
        nes[sample_key] = tam.get.enrichment(inside).set_index(["group", "signature"])
    assert nes[None].loc[("a", "lipid_associated"), "rank"] == 1
    assert nes["sample"].loc[("a", "lipid_associated"), "nes"] < nes[None].loc[("a", "lipid_associated"), "nes"]


def test_group_in_one_sample_is_ranked_by_cells_and_said_to_be(cohort):
    own = cohort.obs["tam_state"].astype(str)
    first = cohort.obs["sample"].cat.categories[0]
    cohort.obs["cluster"] = own.where((own != "inflammatory") | (cohort.obs["sample"] == first))
    tam.tl.enrich(cohort, "cluster", sample_key="sample", signatures="state", **QUICK)
    table = tam.get.enrichment(cohort)
    units = table.groupby("group")["unit"].first()
    assert units["inflammatory"] == "cell"
    assert units["lipid_associated"] == "sample"
    assert any("fewer than two samples" in c and "inflammatory" in c for c in table.attrs["cautions"])


@pytest.mark.parametrize("how", ["file", "dict"])
def test_signatures_of_ones_own(cohort, tmp_path, how):
    genes = {name: [g.symbol for g in tam.load_signature(name).all_genes] for name in ("inflammatory", "proliferating")}
    signatures = genes | {"tiny": ["CD3E", "CD3D"], "signed": [*genes["inflammatory"], "CD3E-"]}
    if how == "file":
        signatures = tmp_path / "own.gmt"
        tam.write_signatures(tam.read_signatures(genes), signatures)
    tam.tl.enrich(cohort, "tam_state", signatures=signatures, **QUICK)
    table = tam.get.enrichment(cohort)
    assert set(table["signature"]) == set(genes) | ({"signed"} if how == "dict" else set())
    if how == "dict":
        nes = table[table["group"] == "inflammatory"].set_index("signature")
        assert nes.loc["signed", "es"] == nes.loc["inflammatory", "es"]
        assert any("Down genes are not used: signed" in c for c in table.attrs["cautions"])
    clusters = tam.get.enrichment(cohort, kind="clusters")
    assert clusters.columns.tolist() == ["group", "n_cells"]


def test_logarithms_and_ensembl_ids_give_the_same_answer(cohort):
    from tamannot.signature import human_genes

    ensembl = human_genes().ensembl
    cohort.var_names = [ensembl.get(g) or g for g in cohort.var_names]
    counts = cohort.X.toarray()
    cohort.X = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    tam.tl.enrich(cohort, "tam_state", sample_key="sample", signatures="state", **QUICK)
    table = tam.get.enrichment(cohort)
    assert _first(cohort) == {s: s for s in STATES}
    assert any("no counts" in c for c in table.attrs["cautions"])
    leading = table.loc[(table["group"] == "interferon_primed") & (table["rank"] == 1), "leading_edge"].item()
    assert set(leading.split(";")) <= {g.symbol for g in tam.load_signature("interferon_primed").all_genes}


def test_results_are_written_and_read(cohort, tmp_path):
    done = tam.tl.enrich(cohort, "tam_state", sample_key="sample", signatures="state", copy=True, **QUICK)
    assert "enrichment" not in cohort.uns["tamannot"]["tam"]
    done.write_h5ad(tmp_path / "done.h5ad")
    again = ad.read_h5ad(tmp_path / "done.h5ad")
    for kind in ("signatures", "clusters"):
        was, now = tam.get.enrichment(done, kind=kind), tam.get.enrichment(again, kind=kind)
        pd.testing.assert_frame_equal(was, now, check_dtype=False, check_index_type=False, check_column_type=False)
        assert now.attrs["cautions"] == was.attrs["cautions"]
        assert now.attrs["seed"] == 0


def test_what_cannot_be_done_is_refused(cohort):
    errors = tam.errors
    with pytest.raises(errors.ParameterError, match="No column 'leiden'"):
        tam.tl.enrich(cohort, "leiden", **QUICK)
    cohort.obs["one"] = "a"
    with pytest.raises(errors.ParameterError, match=r"has only the group .* among the .* compared cells"):
        tam.tl.enrich(cohort, "one", **QUICK)
    with pytest.raises(errors.ParameterError, match="method must be one of"):
        tam.tl.enrich(cohort, "tam_state", method="enrichr")
    with pytest.raises(errors.ParameterError, match="between 1 and max_size"):
        tam.tl.enrich(cohort, "tam_state", min_size=9, max_size=8, **QUICK)
    with pytest.raises(errors.ParameterError, match="No cell was called 'mast'"):
        tam.tl.enrich(cohort, "tam_state", compartment="mast", **QUICK)
    with pytest.raises(errors.GeneIdError, match="Lower min_size"):
        tam.tl.enrich(cohort, "tam_state", signatures="state", min_size=400, **QUICK)
    with pytest.raises(errors.ParameterError, match="nothing to compare"):
        tam.tl.enrich(cohort[:12], "tam_state", signatures="state", **QUICK)
    with pytest.raises(errors.ResultNotFoundError, match=r"Run tamannot.tl.enrich\(adata, groupby\)"):
        tam.get.enrichment(cohort)
    with pytest.raises(errors.ParameterError, match="kind must be one of"):
        tam.get.enrichment(cohort, kind="state")
    with pytest.raises(errors.ResultNotFoundError, match="No results under the key"):
        tam.tl.enrich(cohort, "tam_state", key="other", **QUICK)


def test_ties_fall_by_the_least_that_they_can():
    values = np.array([2.0, 1.0, 1.0, 1.0, 0.0, 0.0, -3.0])
    out = _without_ties(values)
    assert (np.diff(out) < 0).all()
    np.testing.assert_allclose(out, values, rtol=0, atol=3 * np.spacing(3.0))


@pytest.mark.parametrize("values", [np.zeros(300), np.repeat([0.5, 0.0, -0.5], 100)], ids=["all", "some"])
def test_ties_at_zero_come_to_an_end(values, cohort):
    """Beside a number next to the least that a float can hold gseapy 1.3.1 never ends."""
    assert np.abs(_without_ties(values)[_without_ties(values) != 0]).min() > 1e-17
    signatures = tam.load_signatures(axis="overlay")
    sets = gene_sets(signatures, unpack(cohort, signatures).index)
    columns = np.unique(np.concatenate([*(list(s.symbol_of) for s in sets), np.arange(300)]))[:300]
    ranking = Ranking(columns, values, "cell", 10, np.empty((0, 300)))
    found = prerank(ranking, sets, Settings("multilevel", 5, 100, 100, 0), threads=1)
    assert np.isfinite(found["es"]).all()


def test_set_of_no_allowed_size_has_no_row(cohort):
    signatures = tam.load_signatures(axis="state")
    sets = gene_sets(signatures, unpack(cohort, signatures).index)
    ranking = Ranking(np.arange(100), np.linspace(1, -1, 100), "cell", 10, np.empty((0, 100)))
    assert prerank(ranking, sets, Settings("multilevel", 90, 100, 10, 0), threads=1).empty


# When a group gets a name by enrichment.


GROUPS = Groups(("a",), np.array([0, 0, 0, -1]), ("a",))


GOOD = {"nes": 2.0, "q": 0.01, "difference": 1.0, "p_samples": 0.01, "n_samples": 5, "unit": "sample"}


def _named(calls: dict[str, list[str]] | None = None, **figures: object) -> pd.Series:
    table = pd.DataFrame([{"group": "a", "signature": "inflammatory", **GOOD, **figures}])
    series = {axis: pd.Series(own) for axis, own in (calls or {}).items()}
    return name_clusters(table, {"inflammatory": "state"}, GROUPS, series).iloc[0]


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({}, True),
        ({"q": 0.06}, False),
        ({"nes": -2.0}, False),
        ({"difference": 0.3}, False),
        ({"p_samples": 0.2}, False),
        ({"p_samples": 0.2, "n_samples": 3}, True),
        ({"unit": "cell", "n_samples": 0, "difference": np.nan, "p_samples": np.nan}, True),
    ],
)
def test_name_needs_q_and_samples_that_agree(figures, named):
    assert _named(**figures)["state"] == ("inflammatory" if named else "unassigned")


def test_labels_of_the_cells_stand_beside():
    row = _named({"state": ["inflammatory", "unassigned", "lipid_associated", "inflammatory"]})
    assert row["n_cells"] == 3
    assert (row["state_cells"], row["state_share"]) == ("inflammatory", 0.5)
    assert row["state_agree"]


def test_state_is_not_asked_of_other_cells():
    row = _named({"compartment": ["t_nk", "t_nk", "macrophage", "t_nk"]})
    assert row["state"] == "not_macrophage"
