from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot._progress import Progress
from tamannot.errors import (
    CoverageWarning,
    GeneIdError,
    MatrixError,
    ParameterError,
    ResultNotFoundError,
    SignatureFormatError,
    SignatureNotFoundError,
    SpeciesError,
    TamannotWarning,
)

NAMES = ("ucell", "ucell_legacy", "aucell", "aucell_pyscenic", "module", "mean", "ssgsea", "gsva")
ON_RANKS = NAMES[:4]
ON_VALUES = NAMES[4:]


def test_a_signature_below_the_coverage_is_nan_and_named(tiny):
    signatures = tam.read_signatures({"here": list(tiny.var_names[:5]), "away": [tiny.var_names[0], "X1", "X2"]})
    with pytest.warns(CoverageWarning, match="Not scored.*: away"):
        tam.tl.score(tiny, signatures)
    scores = tam.get.scores(tiny)
    assert scores["away"].isna().all()
    assert scores["here"].notna().all()
    assert tiny.uns["tamannot"]["tam"]["warnings"].tolist() == ["low coverage: away"]


def test_min_coverage_zero_scores_what_is_there_and_an_absent_set_gets_zero(tiny):
    tam.tl.score(tiny, tam.read_signatures({"here": [tiny.var_names[0]], "away": ["X1", "X2"]}), min_coverage=0)
    assert (tam.get.scores(tiny)["away"] == 0).all()


def test_missing_genes_are_named_once_with_what_may_be_meant(tiny):
    first, second = tiny.var_names[:2]
    sets = {"one": [first.lower(), f"{second}X", "FOOBAR", second, first], "two": list(tiny.var_names[:5])}
    with pytest.warns(CoverageWarning) as caught:
        tam.tl.score(tiny, sets, method={"u": "ucell", "m": "mean"})
    (line,) = (str(w.message) for w in caught)
    assert line == (
        "Not scored, because fewer than 50% of their genes are in the data: one. "
        f"Missing in the data: 3 of 5 genes of one: {second}X (did you mean {second}?), FOOBAR, "
        f"{first.lower()} (did you mean {first}?)."
    )
    assert tam.get.scores(tiny, "u")["one"].isna().all()


@pytest.mark.parametrize(("n_missing", "said"), [(1, False), (2, True)])
def test_missing_genes_are_named_below_four_fifths(tiny, n_missing, said):
    genes = [*tiny.var_names[: 5 - n_missing], *(f"NOGENE{i}" for i in range(n_missing))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tam.tl.score(tiny, {"s": genes})
    assert [w.category for w in caught] == [CoverageWarning] * said
    assert all(str(w.message) == "Missing in the data: 2 of 5 genes of s: NOGENE0, NOGENE1." for w in caught)
    assert tam.get.scores(tiny)["s"].notna().all()


def test_many_signatures_and_genes_are_one_line(tiny):
    sets = {f"s{i}": [tiny.var_names[0], *(f"NOGENE{j}" for j in range(10 - i))] for i in range(5)}
    with pytest.warns(CoverageWarning) as caught:
        tam.tl.score(tiny, sets, min_coverage=0)
    (line,) = (str(w.message) for w in caught)
    assert line.startswith(
        "Missing in the data: 10 of 11 genes of s0: NOGENE0, NOGENE1, NOGENE2, NOGENE3, NOGENE4 and 5"
    )
    assert line.endswith("; and genes of 2 more signatures.")


def test_a_clean_file_hears_nothing():
    cells = tam.datasets.simulate(30, n_samples=1, n_genes=3000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tam.tl.score(cells, tam.load_signatures(axis="state"))
        tam.tl.annotate(cells, tissue="brain")


def test_coverage_counts_genes(tiny):
    tam.tl.score(tiny, tam.read_signatures({"a": [tiny.var_names[0], "X2"]}), min_coverage=0)
    row = tam.get.coverage(tiny).loc["a"]
    assert (row["n_genes"], row["n_present"], row["coverage"], row["missing"]) == (2, 1, 0.5, "X2")


def test_lists_of_genes_and_of_signatures_are_signatures(tiny):
    genes = [*tiny.var_names[:5], f"{tiny.var_names[7]}-"]
    tam.tl.score(tiny, tam.read_signatures({"mine": genes}))
    expected = tam.get.scores(tiny)
    tam.tl.score(tiny, {"mine": genes})
    pd.testing.assert_frame_equal(tam.get.scores(tiny), expected)
    one = tam.read_signatures({"mine": genes})["mine"]
    tam.tl.score(tiny, [one])
    pd.testing.assert_frame_equal(tam.get.scores(tiny), expected)
    tam.tl.score(tiny, {"mine": one, "yours": tiny.var_names[2:6]})
    assert list(tam.get.scores(tiny)) == ["mine", "yours"]


@pytest.mark.parametrize("signatures", [["CD68", 3], {"mine": "CD68"}, {"mine": 5}, 7])
def test_what_is_no_signature_is_refused_with_what_would_be_one(tiny, signatures):
    with pytest.raises(SignatureFormatError, match=r"[Gg]ive |expected a list"):
        tam.tl.score(tiny, signatures)


def test_tables_are_replaced_as_a_group(example):
    lam = tam.load_signature("lipid_associated")
    tam.tl.score(example, lam, null="matched")
    assert "tam_z" in example.obsm
    tam.tl.score(example, lam)
    assert "tam_z" not in example.obsm
    assert "tam_p" not in example.obsm


def test_tables_of_a_run_whose_record_is_lost_do_not_stay(example):
    tam.tl.score(example, "lipid_associated", null="matched")
    del example.uns["tamannot"]
    tam.tl.score(example, "lipid_associated")
    assert [name for name in example.obsm if name.startswith("tam_")] == ["tam_scores"]


def test_null_reference_gives_a_cell_alone_the_z_of_its_atlas(example):
    states = tam.load_signatures(axis="state")
    tam.tl.score(example, states, null="matched", min_coverage=0)
    alone = example[[3]].copy()
    tam.tl.score(alone, states, null="matched", null_reference=example, min_coverage=0)
    for kind in ("score", "z", "p"):
        pd.testing.assert_frame_equal(tam.get.scores(alone, kind=kind), tam.get.scores(example, kind=kind).iloc[[3]])


def test_null_reference_survives_a_file_and_another_order_of_genes(example, tmp_path):
    import anndata as ad

    states = tam.load_signatures(axis="state")
    tam.tl.score(example, states, null="matched", min_coverage=0)
    example.write_h5ad(tmp_path / "a.h5ad")
    shuffled = example[:5, ::-1].copy()
    reference = ad.read_h5ad(tmp_path / "a.h5ad")
    tam.tl.score(shuffled, states, null="matched", null_reference=reference, min_coverage=0)
    pd.testing.assert_frame_equal(tam.get.scores(shuffled, kind="z"), tam.get.scores(example, kind="z").iloc[:5])


def test_adding_a_signature_changes_no_other(example):
    one = tam.load_signature("inflammatory")
    tam.tl.score(example, one, null="matched")
    before = {kind: tam.get.scores(example, kind=kind)[one.id] for kind in ("score", "z", "p")}
    tam.tl.score(example, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
    for kind, values in before.items():
        pd.testing.assert_series_equal(tam.get.scores(example, kind=kind)[one.id], values)


def test_human_signatures_on_mouse_data_are_refused(tiny):
    tiny.var_names = tiny.var_names.str.title()
    with pytest.raises(SpeciesError, match=r'load_signatures\(species="mouse"\)'):
        tam.tl.score(tiny, tam.load_signatures(axis="state"))


def test_own_symbols_of_any_species_are_taken_as_they_are(tiny):
    tiny.var_names = tiny.var_names.str.title()
    tam.tl.score(tiny, tam.read_signatures({"mine": list(tiny.var_names[:6])}))
    assert tam.get.scores(tiny)["mine"].notna().all()


def test_no_known_gene(tiny):
    with pytest.raises(GeneIdError, match=r"No known gene: none of the 40 ids of X in var_names \(first: "):
        tam.tl.score(tiny, tam.read_signatures({"mine": ["X1", "X2"]}))


def test_more_genes_than_ranks_is_refused(tiny):
    with pytest.raises(SignatureFormatError, match="more than the 10 ranks"):
        tam.tl.score(tiny, tam.read_signatures({"long": list(tiny.var_names)}), method=tam.UCell(max_rank=10))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"method": "magic"}, "No method 'magic'"),
        ({"min_coverage": 2}, "between 0 and 1"),
        ({"null": "random"}, "null must be None or 'matched'"),
        ({"layer": "nothing"}, "No layer 'nothing'.*X"),
        ({"gene_symbols": "nothing"}, "No column 'nothing' in var"),
    ],
)
def test_parameters_out_of_range_are_refused(tiny, choices, message):
    with pytest.raises(ParameterError, match=message):
        tam.tl.score(tiny, tam.load_signatures(axis="state"), **choices)
    assert not tiny.obsm


def test_null_reference_without_a_null_is_refused(example):
    lam = tam.load_signature("lipid_associated")
    with pytest.raises(ParameterError, match="null_reference needs null='matched'"):
        tam.tl.score(example, lam, null_reference=example)
    other = example.copy()
    tam.tl.score(other, lam)
    with pytest.raises(ParameterError, match="no z or p"):
        tam.tl.score(example, lam, null="matched", null_reference=other)


def test_p_are_one_sided_probabilities_that_fall_with_z(example):
    tam.tl.score(example, tam.load_signature("immunoregulatory_complement"), null="matched")
    z = tam.get.scores(example, kind="z").iloc[:, 0].to_numpy()
    p = tam.get.scores(example, kind="p").iloc[:, 0].to_numpy()
    known = np.isfinite(p)
    assert ((p[known] >= 0) & (p[known] <= 1)).all()
    assert p[known][z[known] > 4].max() < 0.01
    assert p[known][z[known] < 0].min() > 0.3


@pytest.fixture(scope="module")
def plain() -> tam.SignatureSet:
    """Signatures without weights, so that every method takes them: a plain one, a composite, one with down genes."""
    own = tam.read_signatures({"own": ["CD68", "CD14", "CSF1R", "C1QA", "GFAP-", "OLIG1-"]})
    return tam.SignatureSet([tam.load_signature("m1"), tam.load_signature("monocyte_derived")]) | own


@pytest.fixture
def few(example, plain):
    """The macrophages among 60 cells, the genes of the signatures among 2,000: some methods are slow."""
    used = {g.symbol for s in plain.values() for g in s.all_genes}
    ours = example.var_names.isin(list(used))
    rest = np.flatnonzero(~ours)[::4][: 2000 - ours.sum()]
    cells = np.argsort(example.obs["author_label"].to_numpy() != "Microglia/Macrophage", kind="stable")[:60]
    return example[np.sort(cells), np.sort(np.r_[np.flatnonzero(ours), rest])].copy()


def table(adata, signatures, *, kind="score", **choices):
    """Return the scores that a call on a copy gives."""
    tam.tl.score(adata := adata.copy(), signatures, min_coverage=0, **choices)
    return tam.get.scores(adata, kind=kind)


@pytest.mark.parametrize("name", NAMES)
class TestEveryMethod:
    def test_scores_every_cell_and_says_what_it_was(self, few, plain, name):
        tam.tl.score(few, plain, method=name, min_coverage=0)
        scores = tam.get.scores(few)
        assert scores.columns.tolist() == ["m1", "monocyte_derived", "own"]
        assert scores.index.equals(few.obs_names)
        assert (scores.dtypes == np.float32).all()
        assert np.isfinite(scores.to_numpy()).all()
        assert (scores.nunique() > 5).all()
        assert few.uns["tamannot"]["tam"]["method"]["name"] == name

    def test_macrophages_stand_above_the_tumour_cells(self, few, plain, name):
        own = table(few, plain, method=name)["own"]
        macrophage = few.obs["author_label"] == "Microglia/Macrophage"
        assert own[macrophage].median() > own[~macrophage].quantile(0.9)

    def test_what_is_written_survives_a_file(self, few, plain, name, tmp_path):
        tam.tl.score(few, plain, method=name, min_coverage=0, null="matched" if name in ON_RANKS else None)
        few.write_h5ad(tmp_path / "a.h5ad")
        back = ad.read_h5ad(tmp_path / "a.h5ad")
        pd.testing.assert_frame_equal(tam.get.scores(back), tam.get.scores(few))
        pd.testing.assert_frame_equal(tam.get.coverage(back), tam.get.coverage(few), check_names=False)
        method = few.uns["tamannot"]["tam"]["method"]
        assert {k: v for k, v in method.items() if v is not None} == back.uns["tamannot"]["tam"]["method"]

    def test_the_settings_say_the_same_as_the_name(self, few, plain, name):
        settings = {
            "ucell": tam.UCell(),
            "ucell_legacy": tam.UCell(variant="legacy"),
            "aucell": tam.AUCell(),
            "aucell_pyscenic": tam.AUCell(variant="pyscenic"),
            "module": tam.ModuleScore(),
            "mean": tam.WeightedMean(),
            "ssgsea": tam.SSGSEA(),
            "gsva": tam.GSVA(),
        }
        pd.testing.assert_frame_equal(table(few, plain, method=settings[name]), table(few, plain, method=name))


@pytest.mark.parametrize("name", ["ucell_legacy", "ssgsea", "gsva"])
def test_weights_are_never_dropped_unasked(example, name):
    weighted = tam.load_signature("inflammatory")
    with pytest.raises(SignatureFormatError, match=r"'inflammatory_tnf' has weights \(CCL3, CCL4\).*weights='ignore'"):
        tam.tl.score(example, weighted, method=name)
    assert not example.obsm


class TestSeveralMethods:
    def test_each_is_what_it_is_alone(self, few, plain):
        tam.tl.score(few, plain, method={f"k_{name}": name for name in NAMES}, min_coverage=0)
        for name in NAMES:
            alone = table(few, plain, method=name)
            pd.testing.assert_frame_equal(tam.get.scores(few, f"k_{name}"), alone)
            assert few.uns["tamannot"][f"k_{name}"]["method"]["name"] == name

    def test_each_has_the_null_that_it_has_alone(self, few, plain):
        tam.tl.score(few, plain, method={name: name for name in ON_RANKS}, null="matched", min_coverage=0)
        for name in ON_RANKS:
            for kind in ("z", "p"):
                alone = table(few, plain, method=name, null="matched", kind=kind)
                pd.testing.assert_frame_equal(tam.get.scores(few, name, kind=kind), alone)

    def test_ranks_take_counts_and_values_take_logarithms(self, tiny, plain, caplog):
        tiny.layers["counts"] = tiny.X.copy()
        tiny.X = np.log1p(tiny.X.toarray())
        signature = tam.read_signatures({"x": list(tiny.var_names[:6])})
        tam.tl.score(tiny, signature, method={"u": "ucell", "m": "mean"})
        assert "Using counts (counts)" in caplog.text
        used = {key: tiny.uns["tamannot"][key]["matrix"]["name"] for key in ("u", "m")}
        assert used == {"u": "counts", "m": "X"}
        np.testing.assert_allclose(tam.get.scores(tiny, "m")["x"], tiny.X[:, :6].mean(axis=1), rtol=1e-6)

    def test_either_all_are_written_or_none(self, example):
        weighted = tam.load_signature("inflammatory")
        with pytest.raises(SignatureFormatError, match="ssGSEA"):
            tam.tl.score(example, weighted, method={"u": "ucell", "m": "mean", "s": "ssgsea"})
        assert not example.obsm
        assert "tamannot" not in example.uns

    def test_low_coverage_is_told_once(self, tiny):
        away = tam.read_signatures({"here": list(tiny.var_names[:5]), "away": ["X1", "X2"]})
        with pytest.warns(CoverageWarning) as told:
            tam.tl.score(tiny, away, method={"u": "ucell", "m": "mean", "s": "ssgsea"})
        assert sum(issubclass(w.category, TamannotWarning) for w in told) == 1
        assert all(tam.get.scores(tiny, key)["away"].isna().all() for key in "ums")

    def test_no_method_at_all_is_refused(self, tiny, plain):
        with pytest.raises(ParameterError, match="method is empty"):
            tam.tl.score(tiny, plain, method={})


@pytest.mark.parametrize("name", ON_VALUES)
def test_a_null_is_for_ranks_only(example, plain, name):
    with pytest.raises(ParameterError, match=rf"rank-based methods \(ucell, aucell\) only, not with {name}"):
        tam.tl.score(example, plain, method={"u": "ucell", "v": name}, null="matched")
    assert not example.obsm


def test_null_reference_of_another_method_is_refused(example, plain):
    reference = example.copy()
    tam.tl.score(reference, plain, method="aucell", null="matched", min_coverage=0)
    with pytest.raises(ParameterError, match=r"scored with aucell\(.*\), not ucell\(.*\)\."):
        tam.tl.score(example, plain, null="matched", null_reference=reference)
    with pytest.raises(ResultNotFoundError, match="No results under the key 'u'"):
        tam.tl.score(example, plain, method={"u": "ucell"}, null="matched", null_reference=reference)
    assert not example.obsm


def test_null_reference_of_another_rank_cap_is_refused(example, plain, tmp_path):
    tam.tl.score(example, plain, method=tam.UCell(max_rank=800), null="matched", min_coverage=0)
    example.write_h5ad(tmp_path / "reference.h5ad")
    reference = ad.read_h5ad(tmp_path / "reference.h5ad")
    with pytest.raises(ParameterError, match=r"scored with ucell\(.*max_rank=800\), not ucell\(.*max_rank=1500\)"):
        tam.tl.score(example, plain, null="matched", null_reference=reference)
    same = tam.UCell(max_rank=800)
    tam.tl.score(example, plain, method=same, null="matched", null_reference=reference, min_coverage=0)


class TestSignedValues:
    @pytest.fixture
    def scaled(self, example):
        values = np.log1p(example.X.toarray())
        example.X = (values - values.mean(axis=0)) / (values.std(axis=0) + 1)
        return example

    @pytest.mark.parametrize("method", [tam.WeightedMean(scale="as_is"), tam.ModuleScore(scale="as_is")])
    def test_are_taken_as_they_are_if_asked_for(self, scaled, plain, method):
        scores = table(scaled, plain, method=method)
        assert np.isfinite(scores.to_numpy()).all()
        assert (scores < 0).any(axis=None)

    def test_of_their_mean_nothing_is_lost(self, scaled, plain):
        genes = [g.symbol for g in plain["m1"].genes if g.symbol in scaled.var_names]
        expected = scaled[:, genes].X.mean(axis=1)
        np.testing.assert_allclose(
            table(scaled, plain, method=tam.WeightedMean(scale="as_is"))["m1"], expected, rtol=1e-4, atol=1e-6
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_are_refused_by_every_default(self, scaled, plain, name):
        with pytest.raises(MatrixError, match=r"No usable expression matrix. X: not usable, it has negative values"):
            tam.tl.score(scaled, plain, method=name)

    def test_beside_ranks_every_method_looks_for_itself(self, scaled, plain):
        with pytest.raises(MatrixError, match="negative"):
            tam.tl.score(scaled, plain, method={"m": tam.WeightedMean(scale="as_is"), "u": "ucell"})
        assert not scaled.obsm


def _backed(adata, folder):
    adata.write_h5ad(folder / "a.h5ad")
    return ad.read_h5ad(folder / "a.h5ad", backed="r")


def _backed_csc(adata, folder):
    adata.X = sp.csc_matrix(adata.X)
    return _backed(adata, folder)


def _zarr(adata, folder):
    adata.write_zarr(folder / "a.zarr")
    return ad.read_zarr(folder / "a.zarr")


def _zarr_on_disk(adata, folder):
    zarr = pytest.importorskip("zarr")
    adata.write_zarr(folder / "a.zarr")
    matrix = ad.io.sparse_dataset(zarr.open(str(folder / "a.zarr"), mode="r")["X"])
    return ad.AnnData(matrix, obs=adata.obs, var=adata.var)


def _dask(adata, folder):
    da = pytest.importorskip("dask.array")
    adata.X = da.from_array(adata.X.toarray(), chunks=(50, 2000))
    return adata


def _dask_sparse(adata, folder):
    da = pytest.importorskip("dask.array")
    adata.X = da.from_array(adata.X, chunks=(50, adata.n_vars), asarray=False)
    return adata


def _view(adata, folder):
    twice = ad.concat([adata[::-1], adata], index_unique="-")
    view = twice[: adata.n_obs][::-1]
    assert view.is_view
    return view


def _with(function):
    def make(adata, folder):
        adata.X = function(adata.X)
        return adata

    return make


CONTAINERS = {
    "backed": _backed,
    "backed_csc": _backed_csc,
    "zarr": _zarr,
    "zarr_on_disk": _zarr_on_disk,
    "dask": _dask,
    "dask_sparse": _dask_sparse,
    "view": _view,
    "csc": _with(sp.csc_matrix),
    "csr_array": _with(sp.csr_array),
    "csc_array": _with(sp.csc_array),
    "dense": _with(lambda x: x.toarray()),
    "fortran": _with(lambda x: np.asfortranarray(x.toarray())),
    "float64": _with(lambda x: x.astype(np.float64)),
}


@pytest.fixture(scope="module")
def in_memory(_example, plain) -> dict[str, pd.DataFrame]:
    """What the example in memory gives, by method, and by kind with a null."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata = tam.tl.score(_example, plain, null="matched", min_coverage=0, copy=True)
        expected = {kind: tam.get.scores(adata, kind=kind) for kind in ("score", "z", "p")}
        return expected | {name: table(_example, plain, method=name) for name in ("module", "mean")}


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
def test_every_container_gives_the_same_bits(example, plain, in_memory, make, tmp_path):
    adata = make(example, tmp_path)
    tam.tl.score(adata, plain, null="matched", min_coverage=0)
    for kind in ("score", "z", "p"):
        np.testing.assert_array_equal(tam.get.scores(adata, kind=kind).to_numpy(), in_memory[kind].to_numpy())


@pytest.mark.parametrize("name", ["module", "mean"])
@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
def test_every_container_gives_the_same_values(example, plain, in_memory, make, name, tmp_path):
    adata = make(example, tmp_path)
    tam.tl.score(adata, plain, method=name, min_coverage=0)
    np.testing.assert_allclose(tam.get.scores(adata).to_numpy(), in_memory[name].to_numpy(), atol=1e-6)


def test_many_calls_at_once_give_what_one_gives(example, plain):
    copies = [example.copy() for _ in range(8)]
    call = partial(tam.tl.score, signatures=plain, method={"u": "ucell", "m": "module"}, min_coverage=0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, copies))
    for key, name in (("u", "ucell"), ("m", "module")):
        alone = table(example, plain, method=name)
        for copy in copies:
            pd.testing.assert_frame_equal(tam.get.scores(copy, key), alone)


_FIRST_CALL = """
import tamannot as tam
adata = tam.datasets.oligodendroglioma()
tam.tl.score(adata, tam.load_signature("m1"), min_coverage=0)
print(tam.get.scores(adata)["m1"].astype(float).sum().hex())
"""
_NOTHING_CAN_BE_WRITTEN = """
import numba.core.caching as caching
def refuse(self): raise OSError(30, "Read-only file system")
caching._CacheLocator.ensure_cache_path = refuse
"""


def _first_call(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.nightly
@pytest.mark.slow
def test_the_first_call_makes_a_cache_that_is_not_there(example, tmp_path):
    expected = float(table(example, tam.load_signature("m1"))["m1"].astype(float).sum()).hex()
    absent = tmp_path / "not" / "there"
    assert _first_call(_FIRST_CALL, NUMBA_CACHE_DIR=str(absent)) == expected
    assert absent.is_dir()


@pytest.mark.nightly
@pytest.mark.slow
def test_the_first_call_works_where_nothing_can_be_written():
    assert _first_call(_NOTHING_CAN_BE_WRITTEN + _FIRST_CALL)


@pytest.mark.parametrize(("progress", "shown"), [(None, True), (True, True), (False, False)])
def test_settings_say_whether_progress_is_shown(tiny, monkeypatch, progress, shown):
    stream = io.StringIO()
    monkeypatch.setattr("tamannot.tl._score.Progress", partial(Progress, after=0.0, stream=stream))
    monkeypatch.setattr(tam.settings, "progress", progress)
    tam.tl.score(tiny, tam.read_signatures({"x": list(tiny.var_names[:6])}))
    assert bool(stream.getvalue()) is shown


@pytest.mark.parametrize("name", NAMES)
def test_progress_counts_every_cell_of_a_stage(few, plain, monkeypatch, name):
    told = []

    class Counting(Progress):
        def __call__(self, stage, total=0):
            told.append([total, 0])

        def tick(self, n):
            told[-1][1] += n

    monkeypatch.setattr("tamannot.tl._score.Progress", Counting)
    tam.tl.score(few, plain, method=name, null="matched" if name in ON_RANKS else None, min_coverage=0)
    assert [done for _, done in told] == [total for total, _ in told]
    assert told[-1][0] >= few.n_obs


@pytest.mark.filterwarnings("always::tamannot.errors.TamannotWarning")
@pytest.mark.parametrize("method", ["ucell", "ssgsea"])
def test_warnings_point_at_the_call(tiny, monkeypatch, method):
    monkeypatch.setattr("tamannot.tl._score.MANY_CELLS", 5)
    signatures = tam.read_signatures({"here": list(tiny.var_names[:5]), "away": ["X1", "X2"]})
    with warnings.catch_warnings(record=True) as told:
        tam.tl.score(tiny, signatures, method=method)
    ours = [w for w in told if issubclass(w.category, TamannotWarning)]
    assert len(ours) == (1 if method == "ucell" else 2)
    assert {w.filename for w in ours} == {__file__}


def test_an_axis_an_id_and_a_list_of_genes_are_signatures(example):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scored = {}
        for asked in ("state", tam.load_signatures("state"), "m1", ("origin", "m1"), ["CD68", "SPP1", "CD3E-"]):
            tam.tl.score(example, asked, min_coverage=0)
            scored[str(asked)] = tam.get.scores(example)
    by_name, by_value, one, two, genes = scored.values()
    pd.testing.assert_frame_equal(by_name, by_value)
    assert list(one) == ["m1"]
    assert list(two) == [*tam.load_signatures("origin"), "m1"]
    assert list(genes) == ["genes"]
    tam.tl.score(example, {"genes": ["CD68", "SPP1", "CD3E-"]})
    pd.testing.assert_frame_equal(genes, tam.get.scores(example))


def test_a_name_that_means_nothing_gets_a_suggestion(example):
    with pytest.raises(SignatureNotFoundError, match="Did you mean 'lipid_associated'"):
        tam.tl.score(example, "LAM")
    with pytest.raises(SignatureNotFoundError, match="Did you mean 'lipid_associated'"):
        tam.load_signature("LAM")
