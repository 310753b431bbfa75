"""``tl.vote``: calls by groups and neighbourhoods, beside the cells' own."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.errors import ParameterError, ResultNotFoundError

AXES = ("compartment", "origin", "state")
IN, NOT, NONE = "inflammatory", "not_macrophage", "unassigned"
LAM = "lipid_associated"


@pytest.fixture
def called(tiny) -> ad.AnnData:
    """Twelve cells with calls written by hand, in three groups."""
    state = [IN, IN, LAM, NONE, NOT, IN, LAM, NOT, NOT, NOT, LAM, NONE]
    origin = ["microglia" if s != NOT else NOT for s in state]
    compartment = ["macrophage" if s != NOT else "t_nk" for s in state]
    tiny.obs["tam_state"] = pd.Categorical(state, categories=[LAM, IN, NONE, NOT])
    tiny.obs["tam_origin"] = pd.Categorical(origin)
    tiny.obs["tam_compartment"] = pd.Categorical(compartment)
    tiny.obs["cluster"] = pd.Categorical(["a"] * 5 + ["b"] * 3 + ["c"] * 2 + [None] * 2)
    tiny.uns["tamannot"] = {"tam": {"package": "tamannot"}}
    return tiny


@pytest.fixture
def graph(called) -> ad.AnnData:
    """The same cells, of which the first has three neighbours and the last none."""
    distances = np.zeros((12, 12))
    distances[0, [2, 6, 4]] = 1.0, 2.0, 0.5
    called.obsp["distances"] = sp.csr_matrix(distances)
    return called


def test_groups_vote(called):
    tam.tl.vote(called, "cluster")
    state, share = called.obs["tam_state_vote"], called.obs["tam_state_vote_share"]
    # a: 2 of 4 macrophages; b: a tie; c: no macrophages; the last two are in no group.
    assert state.tolist() == [IN] * 4 + [NOT, NONE, NONE] + [NOT] * 3 + [NONE, NONE]
    expected = [0.5] * 4 + [np.nan, 0.5, 0.5] + [np.nan] * 5
    np.testing.assert_array_equal(share, np.array(expected, np.float32))
    assert share.dtype == np.float32


def test_the_table_of_annotations_has_the_votes(called):
    tam.tl.vote(called, "cluster")
    table = tam.get.annotations(called)
    assert table["tam_state_vote"].equals(called.obs["tam_state_vote"])
    assert list(table.columns)[:3] == ["tam_compartment", "tam_compartment_vote", "tam_compartment_vote_share"]


def test_all_cells_vote_on_compartments(called):
    tam.tl.vote(called, "cluster")
    vote = called.obs["tam_compartment_vote"]
    assert vote.tolist() == ["macrophage"] * 8 + ["t_nk"] * 2 + [NONE] * 2
    np.testing.assert_allclose(called.obs["tam_compartment_vote_share"].iloc[[0, 5, 8]], [4 / 5, 2 / 3, 1], rtol=1e-6)
    # What other cell types are called says nothing of the origin of macrophages.
    assert (called.obs["tam_origin_vote_share"].iloc[:4] == 1).all()


def test_more_than_the_leading_share_can_be_asked_for(called):
    tam.tl.vote(called, "cluster", min_share=0.51)
    assert called.obs["tam_state_vote"].iloc[:5].tolist() == [NONE] * 4 + [NOT]
    assert (called.obs["tam_state_vote_share"].iloc[:4] == 0.5).all()  # still said


def test_neighbours_vote_with_the_weights_of_smoothing(graph):
    tam.tl.vote(graph)
    # Itself 1 for inflammatory; the nearest is no macrophage; the next two 0.81 and 0.729 for lipid-associated.
    assert graph.obs["tam_state_vote"].iloc[0] == LAM
    share = (0.9**2 + 0.9**3) / (1 + 0.9**2 + 0.9**3)
    assert graph.obs["tam_state_vote_share"].iloc[0] == pytest.approx(share)
    compartment = (1 + 0.9**2 + 0.9**3) / (1 + 0.9 + 0.9**2 + 0.9**3)
    assert graph.obs["tam_compartment_vote_share"].iloc[0] == pytest.approx(compartment)
    # A cell alone elects itself, or no one.
    assert graph.obs["tam_state_vote"].iloc[1:].tolist() == graph.obs["tam_state"].iloc[1:].tolist()
    assert graph.obs["tam_state_vote_share"].iloc[[1, 11]].tolist() == [1, 0]


def test_the_own_calls_and_all_else_stay(annotated):
    before = annotated.copy()
    tam.tl.vote(annotated, "author_label")
    new = {f"tam_{axis}_{what}" for axis in AXES for what in ("vote", "vote_share")}
    assert set(annotated.obs) - set(before.obs) == new
    pd.testing.assert_frame_equal(annotated.obs[before.obs.columns], before.obs)
    assert set(annotated.obsm) == set(before.obsm)
    assert set(annotated.uns) - set(before.uns) == {f"tam_{axis}_vote_colors" for axis in AXES}
    record, old = annotated.uns["tamannot"]["tam"], before.uns["tamannot"]["tam"]
    assert set(record) - set(old) == {"vote"}


def test_categories_and_colours_are_those_of_the_call(annotated):
    tam.tl.vote(annotated, "author_label")
    for axis in AXES:
        own, vote = annotated.obs[f"tam_{axis}"].cat, annotated.obs[f"tam_{axis}_vote"].cat
        elected = set(annotated.obs[f"tam_{axis}_vote"])
        assert vote.categories.tolist() == [c for c in own.categories if c in elected]
    for axis in ("origin", "state"):
        own, vote = (
            set(zip(annotated.obs[name].cat.categories, annotated.uns[f"{name}_colors"], strict=True))
            for name in (f"tam_{axis}", f"tam_{axis}_vote")
        )
        assert vote <= own


def test_colours_that_were_changed_are_kept(annotated):
    annotated.uns["tam_state_colors"][0] = "#123456"
    names = annotated.obs["tam_compartment"].cat.categories
    annotated.uns["tam_compartment_colors"] = np.array([f"#0000{i:02x}" for i in range(len(names))], dtype=object)
    tam.tl.vote(annotated, "author_label")
    assert annotated.uns["tam_state_vote_colors"][0] == "#123456"
    elected = annotated.obs["tam_compartment_vote"].cat.categories
    own = dict(zip(names, annotated.uns["tam_compartment_colors"], strict=True))
    assert annotated.uns["tam_compartment_vote_colors"].tolist() == [own[name] for name in elected]


def test_a_part_of_an_object_can_be_voted_on(annotated):
    # Categories without cells are dropped with their colours; here "unassigned" is one of them.
    part = annotated[annotated.obs["tam_compartment"] == "macrophage"].copy()
    part.obs["tam_state"] = pd.Categorical(np.resize(["immunoregulatory", "inflammatory"], part.n_obs))
    part.obs["half"] = np.arange(part.n_obs) // 2 % 2
    tam.tl.vote(part, "half", min_share=1)
    assert part.obs["tam_state_vote"].cat.categories[-1] == NONE
    assert part.uns["tam_state_vote_colors"][-1] == "#999999"
    assert len(part.uns["tam_state_vote_colors"]) == len(part.obs["tam_state_vote"].cat.categories)


def test_macrophages_alone_receive_states(annotated):
    tam.tl.vote(annotated, "author_label")
    own, vote = annotated.obs["tam_state"], annotated.obs["tam_state_vote"]
    assert ((own == NOT) == (vote == NOT)).all()
    assert (annotated.obs["tam_state_vote_share"].isna() == (own == NOT)).all()


@pytest.mark.parametrize("by", ["cluster", None])
def test_order_of_cells_does_not_matter(graph, by):
    shuffled = graph[np.random.default_rng(0).permutation(12)].copy()
    for adata in (graph, shuffled):
        tam.tl.vote(adata, by)
    columns = [c for c in graph.obs if "_vote" in c]
    got = shuffled.obs.loc[graph.obs_names, columns]
    pd.testing.assert_frame_equal(got, graph.obs[columns])


def test_axes_that_were_not_called_are_left_out(called):
    del called.obs["tam_origin"], called.obs["tam_compartment"]
    tam.tl.vote(called, "cluster")
    assert {c for c in called.obs if "_vote" in c} == {"tam_state_vote", "tam_state_vote_share"}


def test_cells_without_a_call_neither_vote_nor_receive(called):
    called.obs.loc[called.obs_names[3], "tam_state"] = np.nan
    tam.tl.vote(called, "cluster")
    assert called.obs["tam_state_vote"].isna().tolist() == [False] * 3 + [True] + [False] * 8
    assert called.obs["tam_state_vote_share"].iloc[0] == pytest.approx(2 / 3)


def test_calls_read_back_as_text_can_be_voted_on(called):
    expected = tam.tl.vote(called, "cluster", copy=True).obs["tam_state_vote"].tolist()
    called.obs["tam_state"] = called.obs["tam_state"].astype(str)
    tam.tl.vote(called, "cluster")
    assert called.obs["tam_state_vote"].tolist() == expected


def test_samples_put_together_can_be_voted_on(called):
    # Concatenating drops uns.
    both = ad.concat({"s1": called, "s2": called}, label="sample", index_unique="-")
    assert "tamannot" not in both.uns
    tam.tl.vote(both, "cluster")
    assert both.uns["tamannot"]["tam"]["vote"]["groupby"] == "cluster"
    with pytest.raises(ResultNotFoundError, match=r"no 'coverage'.*tamannot\.concat"):  # a vote is not a run
        tam.get.coverage(both)


def test_annotating_again_removes_the_votes(annotated):
    tam.tl.vote(annotated, "author_label")
    tam.tl.annotate(annotated, tissue="brain")
    assert not [c for c in (*annotated.obs, *annotated.uns) if "_vote" in c]
    assert "vote" not in annotated.uns["tamannot"]["tam"]


def test_the_record_says_how(graph):
    tam.tl.vote(graph, "cluster", min_share=0.7)
    record = graph.uns["tamannot"]["tam"]
    assert record["vote"] == {"groupby": "cluster", "min_share": 0.7}
    assert record["package"] == "tamannot"
    tam.tl.vote(graph)
    assert graph.uns["tamannot"]["tam"]["vote"] == {"neighbors_key": "neighbors", "decay": 0.1, "min_share": 0.5}


@pytest.mark.parametrize("by", ["cluster", None])
def test_votes_survive_a_file(graph, by, tmp_path):
    tam.tl.vote(graph, by)
    graph.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    columns = [c for c in graph.obs if "_vote" in c]
    pd.testing.assert_frame_equal(back.obs[columns], graph.obs[columns])
    assert back.uns["tamannot"]["tam"]["vote"] == graph.uns["tamannot"]["tam"]["vote"]
    assert (back.uns["tam_state_vote_colors"] == graph.uns["tam_state_vote_colors"]).all()


def test_copy_leaves_the_object_alone(called):
    out = tam.tl.vote(called, "cluster", copy=True)
    assert "tam_state_vote" in out.obs
    assert not [c for c in called.obs if "_vote" in c]
    assert "vote" not in called.uns["tamannot"]["tam"]


def test_a_view_becomes_a_copy(called):
    view = called[:8]
    with pytest.warns(ad.ImplicitModificationWarning, match="initializing view as actual"):
        tam.tl.vote(view, "cluster")
    assert view.obs["tam_state_vote"].tolist()[:5] == [IN] * 4 + [NOT]
    assert "tam_state_vote" not in called.obs


@pytest.mark.parametrize("neighbors_key", ["neighbors", "mine"])
def test_without_a_graph_none_is_computed(called, neighbors_key):
    with pytest.raises(ResultNotFoundError, match=rf"under '{neighbors_key}'.*scanpy\.pp\.neighbors"):
        tam.tl.vote(called, neighbors_key=neighbors_key)
    assert not [c for c in called.obs if "_vote" in c]


def test_what_is_not_there_is_named(called):
    with pytest.raises(ParameterError, match=r"No column 'leiden' in obs\. Available: tam_state"):
        tam.tl.vote(called, "leiden")
    with pytest.raises(ResultNotFoundError, match="No 'other_compartment' in obs"):
        tam.tl.vote(called, "cluster", key="other")


@pytest.mark.parametrize("min_share", [-0.1, 1.1, np.nan])
def test_parameters_out_of_range_are_refused(called, min_share):
    with pytest.raises(ParameterError, match="between 0 and 1"):
        tam.tl.vote(called, "cluster", min_share=min_share)
