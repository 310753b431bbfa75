from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.analysis._samples import some_genes
from tamannot.classify import STATES, Cohort
from tamannot.data import RunMatrix
from tamannot.errors import MatrixError, ParameterError, ResultNotFoundError
from tamannot.get._evidence import by_label, columns_of

COLUMNS = ["label", "of", "gene", "expression", "weight", "contribution", "in_signature"]


def expression(adata: ad.AnnData, rows: np.ndarray) -> np.ndarray:
    values = adata.layers["counts"][rows] if "counts" in adata.layers else adata.X[rows]
    dense = values.toarray().astype(float)
    return np.log1p(1e4 * dense / dense.sum(axis=1, keepdims=True))


def amounts(cohort: Cohort, name: str, x: np.ndarray) -> np.ndarray:
    """Return how far cells are from training cells without the state (0) to those of it (1), by the regression."""
    fit, s = cohort.states.regression, STATES.index(name)
    margin = x[:, fit.columns] @ fit.coef.T + fit.intercept.mean(axis=0)
    return (margin[:, s + 1] - margin[:, 0] - fit.zero[s]) / (fit.one[s] - fit.zero[s])


def trained(cohort: Cohort) -> set[str]:
    return {s for s, known in zip(STATES, cohort.states.trained, strict=True) if known}


def cell_called(adata: ad.AnnData, label: str, axis: str = "state") -> int:
    return int(np.flatnonzero(adata.obs[f"tam_{axis}"] == label)[0])


def sums(table: pd.DataFrame, of: str) -> pd.Series:
    return table[table["of"] == of].groupby("label", sort=False)["contribution"].sum()


class TestCell:
    def test_of_a_classifier_they_sum_with_the_intercept_to_the_amount(self, learned, cohort):
        for cell in (3, cell_called(learned, "lipid_associated")):
            table = tam.get.contributions(learned, cell)
            total = sums(table, "amount") + pd.Series(table.attrs["intercept"])
            assert set(total.index) == trained(cohort)
            x = expression(learned, np.array([cell]))
            for name, value in total.items():
                assert value == pytest.approx(amounts(cohort, name, x)[0], abs=1e-4)

    @pytest.mark.parametrize("axis", ["compartment", "origin", "state", "overlay", "polarization", "ferroptosis"])
    def test_of_z_they_sum_to_the_z_of_the_table(self, annotated, axis):
        for cell in (0, 150):
            table = tam.get.contributions(annotated, cell, axis=axis)
            z = annotated.obsm["tam_z"].iloc[cell]
            total = sums(table, "z")
            assert len(total) >= 2
            np.testing.assert_allclose(total, z[total.index], rtol=1e-4, atol=1e-4)
            silent = [i for i in tam.load_signatures(axis=axis) if i not in set(table["label"])]
            assert (z[silent] == 0).all()
            assert table.loc[table["of"] == "z", "in_signature"].all()

    def test_a_label_the_classifier_does_not_know_is_split_by_z(self, learned, cohort):
        table = tam.get.contributions(learned, 3)
        of = table.drop_duplicates("label").set_index("label")["of"]
        assert {i for i in of.index if of[i] == "amount"} == trained(cohort)
        assert of["pro_angiogenic"] == "z"

    def test_a_contribution_is_weight_times_expression(self, learned):
        table = tam.get.contributions(learned, 3, label="lipid_associated")
        assert list(table.columns) == COLUMNS
        np.testing.assert_allclose(table["contribution"], table["weight"] * table["expression"])
        x = pd.Series(expression(learned, np.array([3]))[0], learned.var_names)
        np.testing.assert_allclose(table["expression"], x[table["gene"]], rtol=1e-6)
        own = {g.symbol for g in tam.load_signature("lipid_associated").all_genes}
        assert set(table.loc[table["in_signature"], "gene"]) == own & set(table["gene"])
        assert 0 < table["in_signature"].mean() < 0.5

    def test_the_called_label_comes_first_and_the_greatest_of_each(self, learned):
        table = tam.get.contributions(learned, cell_called(learned, "inflammatory"))
        assert table["label"].iloc[0] == table.attrs["called"] == "inflammatory"
        for _, rows in table.groupby(["label", "of"]):
            assert rows["contribution"].abs().is_monotonic_decreasing
        amount = sums(table, "amount") + pd.Series(table.attrs["intercept"])
        rest = [i for i in table["label"].unique() if i in amount.index][1:]
        assert amount[rest].is_monotonic_decreasing

    def test_n_genes_of_each_label(self, learned):
        whole, few = (tam.get.contributions(learned, 3, n=n) for n in (None, 4))
        assert (few.groupby(["label", "of"]).size() == 4).all()
        first = whole.groupby(["label", "of"], sort=False).head(4).reset_index(drop=True)
        pd.testing.assert_frame_equal(few, first)

    def test_by_name_or_number(self, annotated):
        by_name = tam.get.contributions(annotated, annotated.obs_names[7])
        pd.testing.assert_frame_equal(by_name, tam.get.contributions(annotated, 7))
        pd.testing.assert_frame_equal(by_name, tam.get.contributions(annotated, 7 - annotated.n_obs))

    def test_some_cells_of_the_object_give_the_same(self, learned):
        some = learned[[3, 8, 20]].copy()
        pd.testing.assert_frame_equal(tam.get.contributions(some, 1), tam.get.contributions(learned, 8))

    def test_no_other_cell_is_read(self, learned, monkeypatch):
        read = []
        original = sp.csr_matrix.__getitem__

        def spied(self, key):
            read.append(key)
            return original(self, key)

        learned.X = sp.csr_matrix(learned.X)
        monkeypatch.setattr(sp.csr_matrix, "__getitem__", spied)
        monkeypatch.setattr("tamannot.data._unpack.row_source", None)
        tam.get.contributions(learned, 3)
        assert read == [slice(3, 4)]


class TestLabel:
    def test_of_a_classifier_they_sum_to_the_difference_of_mean_amounts(self, learned, cohort):
        table = tam.get.contributions(learned, label="lipid_associated")
        state = learned.obs["tam_state"].to_numpy()
        here = state == "lipid_associated"
        others = ~here & (state != "not_macrophage")
        found = amounts(cohort, "lipid_associated", expression(learned, np.arange(learned.n_obs)))
        assert table["contribution"].sum() == pytest.approx(found[here].mean() - found[others].mean(), abs=1e-4)
        difference = table["expression"] - table["expression_others"]
        np.testing.assert_allclose(table["contribution"], table["weight"] * difference)

    @pytest.mark.parametrize("axis", ["compartment", "origin"])
    def test_of_z_they_sum_to_the_difference_of_mean_z(self, annotated, axis):
        label = {"compartment": "macrophage", "origin": "microglia"}[axis]
        called = annotated.obs[f"tam_{axis}"].to_numpy()
        here, others = called == label, (called != label) & (called != "not_macrophage")
        z = annotated.obsm["tam_z"][label].to_numpy(float)
        table = tam.get.contributions(annotated, label=label)
        assert sums(table, "z")[label] == pytest.approx(z[here].mean() - z[others].mean(), abs=1e-4)

    def test_markers_lead(self, learned):
        table = tam.get.contributions(learned, label="lipid_associated", n=10)
        assert len(table) == 10
        assert table["in_signature"].mean() >= 0.5
        assert (table["contribution"] > 0).all()


class TestStorage:
    def test_h5ad_and_backed_give_the_same(self, learned, tmp_path):
        learned.write_h5ad(tmp_path / "a.h5ad")
        cell = tam.get.contributions(learned, 3)
        label = tam.get.contributions(learned, label="lipid_associated")
        evidence = tam.get.evidence(learned, 3)
        for backed in (None, "r"):
            back = ad.read_h5ad(tmp_path / "a.h5ad", backed=backed)
            mine = tam.get.contributions(back, 3)
            pd.testing.assert_frame_equal(mine, cell, check_dtype=False)
            assert mine.attrs == cell.attrs
            pd.testing.assert_frame_equal(
                tam.get.contributions(back, label="lipid_associated"), label, check_dtype=False
            )
            pd.testing.assert_frame_equal(tam.get.evidence(back, 3), evidence, check_dtype=False)

    def test_zarr_keeps_the_record(self, learned, tmp_path):
        before = tam.get.contributions(learned, 3)
        kept = {k: learned.uns["tamannot"]["tam"].pop(k) for k in ("learned", "evidence")}
        ad.AnnData(uns=kept).write_zarr(tmp_path / "a.zarr")
        learned.uns["tamannot"]["tam"] |= ad.read_zarr(tmp_path / "a.zarr").uns
        pd.testing.assert_frame_equal(tam.get.contributions(learned, 3), before, check_dtype=False)

    @pytest.mark.parametrize("container", [sp.csc_matrix, sp.csr_array, lambda x: x.toarray()])
    def test_container_changes_nothing(self, learned, container):
        before = tam.get.contributions(learned, 3)
        learned.X = container(learned.X)
        pd.testing.assert_frame_equal(tam.get.contributions(learned, 3), before)

    def test_what_is_kept_is_small(self, learned):
        for kept in learned.uns["tamannot"]["tam"]["learned"].values():
            table = kept["weights"]
            assert (table.dtypes == np.float32).all()
            assert len(table.columns) == len(kept["intercept"])
            names = sum(len(i) for i in table.index)
            assert table.to_numpy().nbytes + kept["column"].nbytes + names < 300_000

    def test_logarithms_are_taken_as_they_are(self, example):
        tam.tl.annotate(example, tissue="brain")
        macrophages = np.flatnonzero(example.obs["tam_compartment"] == "macrophage")
        example = example[np.setdiff1d(np.arange(example.n_obs), macrophages[5:])].copy()  # too few to train on
        example.X = example.X.log1p()
        tam.tl.annotate(example, tissue="brain")
        table = tam.get.contributions(example, 0, axis="origin")
        stored = pd.Series(example.X[0].toarray().ravel(), example.var_names)
        np.testing.assert_allclose(table["expression"], stored[table["gene"]], rtol=1e-6)

    @pytest.mark.parametrize("base", [np.e, 2.0])
    def test_of_logarithms_they_sum_to_the_amount_as_of_counts(self, learned, cohort, base):
        logs = learned[:, :].copy()
        total = np.asarray(learned.X.sum(axis=1)).ravel()
        logs.X = sp.csr_matrix((sp.diags_array(1e6 / total) @ learned.X).log1p() / np.log(base))
        tam.tl.annotate(logs, tissue="brain")
        cell = cell_called(logs, "lipid_associated")
        mine, theirs = (tam.get.contributions(a, cell, label="lipid_associated") for a in (logs, learned))
        value = mine["contribution"].sum() + mine.attrs["intercept"]["lipid_associated"]
        assert value == pytest.approx(amounts(cohort, "lipid_associated", expression(learned, [cell]))[0], abs=0.01)
        assert set(mine["gene"].head(10)) == set(theirs["gene"].head(10))

    def test_ensembl_ids_are_shown_as_symbols(self, example):
        from tamannot.signature import human_genes

        known = human_genes().ensembl
        example.var_names = [known.get(g) or g for g in example.var_names]
        example.var_names_make_unique()
        tam.tl.annotate(example, tissue="brain")
        genes = tam.get.contributions(example, 0, label="microglia")["gene"]
        assert {"P2RY12", "GPR34"} <= set(genes)
        assert not genes.str.startswith("ENSG").any()


class TestRefused:
    @pytest.mark.parametrize(
        ("choices", "message"),
        [
            ({}, "Pass a cell, a label, or both"),
            ({"cell": 0, "n": 0}, "n must be at least 1, not 0"),
            ({"cell": 0, "label": "nothing"}, "No label 'nothing'. Available: b, dendritic"),
            ({"cell": 0, "label": "transitional"}, "m1 and m2 are both active"),
            ({"label": "unassigned"}, "'unassigned' is not a program"),
            ({"cell": 0, "axis": "fate"}, "axis must be one of compartment, origin, state, .*, not 'fate'"),
            ({"cell": 0, "axis": "origin", "label": "inflammatory"}, "'inflammatory' is on the axis state, not origin"),
            ({"cell": 999}, "no cell number 999"),
            ({"cell": "nobody"}, "0 cells are named 'nobody'"),
            ({"label": "hypoxic"}, "as the axis overlay has no labels. Pass a cell"),
        ],
    )
    def test_what_cannot_be_answered(self, annotated, choices, message):
        with pytest.raises(ParameterError, match=message):
            tam.get.contributions(annotated, **choices)

    def test_a_label_that_no_cell_or_every_cell_has(self, annotated):
        with pytest.raises(ResultNotFoundError, match=r"No cell is called 'border_associated'.*microglia"):
            tam.get.contributions(annotated, label="border_associated")
        some = annotated[annotated.obs["tam_compartment"] == "macrophage"].copy()
        with pytest.raises(ResultNotFoundError, match="Every cell is called 'macrophage'"):
            tam.get.contributions(some, label="macrophage")

    def test_not_annotated_or_only_scored(self, example):
        with pytest.raises(ResultNotFoundError, match=r"No results under the key 'tam'.*tl\.annotate"):
            tam.get.contributions(example, 0)
        tam.tl.score(example, tam.load_signatures(axis="state"), null="matched", min_coverage=0)
        with pytest.raises(ResultNotFoundError, match=r"it was written by tamannot\.tl\.score"):
            tam.get.contributions(example, 0)

    def test_the_matrix_is_gone(self, example):
        example.layers["mine"] = example.X.copy()
        tam.tl.annotate(example, layer="mine", tissue="brain")
        del example.layers["mine"]
        with pytest.raises(
            ResultNotFoundError, match=r"used the matrix 'mine', which is no longer in the data\. Restore"
        ):
            tam.get.contributions(example, 0)

    def test_other_genes(self, annotated):
        with pytest.raises(
            MatrixError, match=r"The matrix 'X' has changed since the run: it has 500 genes, but the run used"
        ):
            tam.get.contributions(annotated[:, :500].copy(), 0)
        turned = annotated[:, ::-1].copy()
        with pytest.raises(MatrixError, match="its gene ids in var_names are different or in another order"):
            tam.get.contributions(turned, 0)

    def test_other_values(self, learned):
        counts = learned.X.copy()
        learned.X = counts.log1p()
        with pytest.raises(MatrixError, match="it no longer contains counts"):
            tam.get.contributions(learned, 3)
        learned.X = -counts
        with pytest.raises(MatrixError, match="negative"):
            tam.get.contributions(learned, 3)
        learned.X = counts[::-1]
        with pytest.raises(MatrixError, match=r"it now gives different z for cell '.*'"):
            tam.get.contributions(learned, 3)
        with pytest.raises(MatrixError, match=r"it now gives different z"):
            tam.get.contributions(learned, label="lipid_associated")


# Expression.


CODES = np.array([0, 1, -1, 1, 0, -1, 1, 1, 0, 1])


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (10, 6)).astype(np.float32) + np.eye(10, 6, dtype=np.float32)


def run_matrix(values, kind: str = "counts") -> RunMatrix:
    return RunMatrix("X", kind, values, np.array([f"G{i}" for i in range(6)], dtype=object))


def logs(counts: np.ndarray) -> np.ndarray:
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_labels_have_the_shares_means_and_squares_of_their_cells(counts, container):
    found = by_label(run_matrix(container(counts)), CODES, 3)
    assert found.n.tolist() == [3, 5, 0]
    for label in (0, 1):
        x = logs(counts)[label == CODES]
        np.testing.assert_allclose(found.detected[label], (x > 0).mean(axis=0))
        np.testing.assert_allclose(found.mean[label], x.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found.square[label], (x**2).mean(axis=0), rtol=1e-6)
    assert not found.mean[2].any()


def test_apart_is_in_standard_deviations_of_both_sides(counts):
    one, other = logs(counts)[CODES == 0], logs(counts)[CODES == 1]
    expected = (one.mean(0) - other.mean(0)) / np.sqrt((one.var(0) + other.var(0)) / 2)
    np.testing.assert_allclose(by_label(run_matrix(counts), CODES, 2).apart(0), expected, rtol=1e-5)


def test_logarithms_are_taken_as_they_are(counts):
    chosen = CODES >= 0
    [(_, as_logs)] = some_genes(run_matrix(sp.csr_matrix(logs(counts)), "log"), [4, 1], chosen)
    [(_, as_counts)] = some_genes(run_matrix(counts), [4, 1], chosen)
    np.testing.assert_allclose(as_logs, logs(counts)[chosen][:, [4, 1]])
    np.testing.assert_allclose(as_counts, as_logs, rtol=1e-5)


def test_refused(counts):
    with pytest.raises(MatrixError, match="it no longer contains counts"):
        by_label(run_matrix(counts + 0.5), CODES, 2)
    assert columns_of(run_matrix(counts), ["G5", "G0"]) == [5, 0]
    with pytest.raises(
        ParameterError, match="No gene G6, G7 in the matrix 'X' of the run; its genes are named like G0"
    ):
        columns_of(run_matrix(counts), ["G5", "G6", "G7"])
