from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import unpack
from tamannot.errors import GeneIdError, MatrixError, ParameterError, SpeciesError
from tamannot.signature import human_genes


@pytest.fixture
def states() -> tam.SignatureSet:
    return tam.load_signatures(axis="state")


def test_counts_win_over_a_log_matrix(tiny, states):
    tiny.layers["counts"] = tiny.X.copy()
    tiny.X = tiny.X.log1p()
    data = unpack(tiny, states)
    assert (data.matrix, data.kind) == ("counts", "counts")
    assert [("X: log" in line, kind) for line, kind in data.notes.items()] == [(True, None)]


def test_raw_wins_if_it_has_more_genes(tiny, states):
    tiny.raw = tiny.copy()
    small = tiny[:, :10].copy()
    data = unpack(small, states)
    assert data.matrix == "raw"
    assert data.rows.shape == (12, 40)


def test_scaled_x_is_passed_over_if_there_is_raw(tiny, states):
    tiny.raw = tiny.copy()
    tiny.X = tiny.X.toarray() - 1
    data = unpack(tiny, states)
    assert data.matrix == "raw"
    assert "X: not usable, it has negative values (smallest -1)" in next(iter(data.notes))


def test_no_note_where_x_is_used_or_a_layer_was_asked_for(tiny, states):
    tiny.layers["log"] = tiny.X.log1p()
    assert not unpack(tiny, states).notes
    assert not unpack(tiny, states, layer="log").notes


def test_layer_forces_a_matrix(tiny, states):
    tiny.layers["counts"] = tiny.X.copy()
    tiny.layers["other"] = tiny.X.log1p()
    assert unpack(tiny, states, layer="other").kind == "log"
    assert unpack(tiny, states, layer="X").matrix == "X"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (lambda x: x - 1, "negative values .*looks scaled"),
        (lambda x: np.where(x > 1, np.nan, x), "NaN"),
        (lambda x: np.where(x > 1, np.inf, x), "infinite"),
        (np.zeros_like, "all its values are 0"),
        (lambda x: np.full_like(x, 2), "all its values are 2"),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_unusable_values_are_refused_with_reason(tiny, states, values, problem, container):
    tiny.X = container(values(tiny.X.toarray()))
    with pytest.raises(MatrixError, match=rf"No usable expression matrix\. X: not usable, .*{problem}"):
        unpack(tiny, states)


def test_one_bad_value_at_the_end_is_seen(example, states):
    example.X.data[-1] = np.nan
    with pytest.raises(MatrixError, match="NaN"):
        unpack(example, states)


def test_without_the_usual_matrices_the_layers_are_named(tiny, states):
    tiny.layers["raw_counts"] = tiny.X
    tiny.X = None
    with pytest.raises(MatrixError, match=r"no expression matrix.* Choose one of the layers with layer=: raw_counts\."):
        unpack(tiny, states)


def test_no_cells(tiny, states):
    with pytest.raises(MatrixError, match="no cells"):
        unpack(tiny[:0].copy(), states)


def test_no_matrix(states):
    with pytest.raises(MatrixError, match="no expression matrix"):
        unpack(ad.AnnData(obs=pd.DataFrame(index=["a"])), states)


@pytest.mark.parametrize(
    "column",
    [
        *("feature_name", "gene_ids", "gene_name", "gene_names", "gene_symbols", "gene_symbol", "gene_short_name"),
        *("features", "SYMBOL", "Symbol", "symbol", "_index", "gene_id", "ensembl_id", "Ensembl", "Gene Symbol"),
    ],
)
def test_known_columns_are_found_without_a_flag(tiny, states, column):
    tiny.var[column] = tiny.var_names
    tiny.var_names = [f"row{i}" for i in range(40)]
    assert unpack(tiny, states).ids_from == column


@pytest.mark.parametrize("column", ["_index", "features", "SYMBOL"])
@pytest.mark.parametrize("choices", [{}, {"named": True}, {"named": True, "layer": "raw"}])
def test_raw_of_seuratdisk_has_its_symbols_in_a_column(tiny, states, column, choices):
    full = tiny.copy()
    full.var = pd.DataFrame({column: list(tiny.var_names)}, index=[str(i) for i in range(40)])
    few = tiny[:, :10].copy()
    few.X = few.X.toarray() - few.X.toarray().mean(0)
    few.raw = full
    named = {"gene_symbols": column} if choices.get("named") else {}
    data = unpack(few, states, layer=choices.get("layer"), **named)
    assert (data.matrix, data.ids_from) == ("raw", column)
    assert data.species == "human"


def test_no_gene_is_said_of_the_matrix_that_was_looked_at(tiny, states):
    tiny.raw = ad.AnnData(tiny.X, var=pd.DataFrame({"mine": list(tiny.var_names)}, index=list(map(str, range(40)))))
    tiny.X = tiny.X.toarray() - 1
    with pytest.raises(
        GeneIdError, match=r"40 ids of raw in raw\.var_names \(first: 0, 1, 2\).*Columns: mine\."
    ) as error:
        unpack(tiny, states)
    assert "gene_symbols=" in str(error.value)
    assert unpack(tiny, states, gene_symbols="mine").ids_from == "mine"


def test_a_column_that_no_matrix_has(tiny, states):
    tiny.raw = tiny.copy()
    with pytest.raises(ParameterError, match="No column 'absent' in var"):
        unpack(tiny, states, gene_symbols="absent")


CHANGED = {
    "small letters": str.lower,
    "capitals": str.upper,
    "points": lambda g: g.replace("-", "."),
    "both": lambda g: g.replace("-", ".").lower(),
    "underscores": lambda g: g.replace("-", "_"),
    "bytes": lambda g: f"b'{g}'",
    "quotes": lambda g: f'"{g}"',
    "blanks": lambda g: f" {g} ",
    "symbol and id": lambda g: f"{g}_{human_genes().ensembl.get(g) or 'ENSG00000999999'}",
    "id and symbol": lambda g: f"{human_genes().ensembl.get(g) or 'ENSG00000999999'}.7|{g}",
    "genome": lambda g: f"GRCh38-{g}",
}


def with_names(cells: ad.AnnData, kind: str) -> ad.AnnData:
    var = pd.DataFrame(index=list(map(CHANGED[kind], cells.var_names)))
    return ad.AnnData(cells.X, obs=cells.obs[[]].copy(), var=var)


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    out = tam.datasets.simulate(60, n_samples=2, n_genes=3000, rng=3)
    tam.tl.annotate(out, tissue="brain")
    return out


@pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
@pytest.mark.parametrize("kind", CHANGED)
def test_changed_names_give_the_calls_of_clean_ones(cells, kind):
    changed = ad.AnnData(
        cells.X, obs=cells.obs[[]].copy(), var=pd.DataFrame(index=list(map(CHANGED[kind], cells.var_names)))
    )
    tam.tl.annotate(changed, tissue="brain")
    pd.testing.assert_frame_equal(tam.get.annotations(changed), tam.get.annotations(cells))
    pd.testing.assert_frame_equal(tam.get.scores(changed), tam.get.scores(cells))
    assert tam.get.coverage(changed)["n_present"].equals(tam.get.coverage(cells)["n_present"])
    tam.get.contributions(changed, 0)
    found = changed.uns["tamannot"]["tam"]["substitutions"]["found_as"]
    original = CHANGED[kind]("CD68")
    assert found.get("CD68", "CD68") == (original if kind not in ("capitals", "genome") else "CD68")


@pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
@pytest.mark.parametrize("kind", ["small letters", "points", "symbol and id"])
def test_a_model_goes_from_changed_names_to_clean_ones_and_back(cells, kind):
    cells = cells[cells.obs["truth_compartment"].isin(["macrophage", "t_nk", "glial_like"])].copy()
    labels = cells.obs["truth_compartment"].astype(str).tolist()
    changed = ad.AnnData(
        cells.X, obs=cells.obs[[]].copy(), var=pd.DataFrame(index=list(map(CHANGED[kind], cells.var_names)))
    )
    one, two = tam.tl.train(cells, labels), tam.tl.train(changed, labels)
    assert one.symbols == two.symbols
    one.predict(cells)
    one.predict(changed)
    pd.testing.assert_frame_equal(changed.obsm["tam_model_proba"], cells.obsm["tam_model_proba"])


def test_named_column_is_used(tiny, states):
    tiny.var["mine"] = tiny.var_names
    tiny.var_names = [f"row{i}" for i in range(40)]
    assert unpack(tiny, states, gene_symbols="mine").ids_from == "mine"


@pytest.mark.parametrize("suffix", ["", ".7"])
def test_ensembl_ids_give_the_scores_of_symbols(tiny, suffix):
    states = tam.load_signatures(axis="state")
    tam.tl.score(tiny, states, min_coverage=0)
    other = tiny.copy()
    other.var_names = [human_genes().ensembl[s] + suffix for s in tiny.var_names]
    tam.tl.score(other, states, min_coverage=0)
    pd.testing.assert_frame_equal(tam.get.scores(other), tam.get.scores(tiny))


def test_categorical_column_of_symbols(tiny, states):
    tiny.var["feature_name"] = pd.Categorical(tiny.var_names)
    tiny.var_names = [f"row{i}" for i in range(40)]
    assert unpack(tiny, states).ids_from == "feature_name"


def test_former_symbols_work_and_are_recorded(states):
    genes = ["C10orf54", "IL8", "SEPP1", "GPR56", "CD14"]
    adata = ad.AnnData(np.arange(10, dtype=np.float32).reshape(2, 5), var=pd.DataFrame(index=genes))
    own = tam.read_signatures({"s": ["VSIR", "CXCL8", "SELENOP", "ADGRG1", "CD14"]})
    tam.tl.score(adata, own)
    found = adata.uns["tamannot"]["tam"]["substitutions"]["found_as"].to_dict()
    assert found == {"VSIR": "C10orf54", "CXCL8": "IL8", "SELENOP": "SEPP1", "ADGRG1": "GPR56"}
    assert tam.get.coverage(adata).loc["s", "coverage"] == 1


def test_a_loose_alias_never_stands_for_a_gene():
    adata = ad.AnnData(
        np.arange(10, dtype=np.float32).reshape(2, 5), var=pd.DataFrame(index=["MIF", "NMB", "C7", "CD14", "CD68"])
    )
    tam.tl.score(adata, tam.read_signatures({"s": ["S100A9", "GPNMB", "CXCL10", "CD14"]}), min_coverage=0)
    assert tam.get.coverage(adata).loc["s", "missing"] == "CXCL10,GPNMB,S100A9"


def test_genome_prefix_is_stripped(tiny, states):
    tiny.var_names = "GRCh38_" + tiny.var_names
    assert unpack(tiny, states).species == "human"


def test_mixed_genomes_are_refused(tiny, states):
    tiny.var_names = [("GRCh38_" if i % 2 else "mm10___") + g for i, g in enumerate(tiny.var_names)]
    with pytest.raises(SpeciesError, match="two species"):
        unpack(tiny, states)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
class TestRepeatedGenes:
    def repeated(self, tiny: ad.AnnData, gene: str) -> ad.AnnData:
        extra = tiny[:, [gene]].copy()
        return ad.concat([tiny, extra], axis=1, merge="first")

    def test_a_used_one_is_refused(self, tiny, states):
        gene = tiny.var_names[0]
        adata = self.repeated(tiny, gene)
        with pytest.raises(GeneIdError, match=rf"Gene '{gene}' matches 2 columns"):
            tam.tl.score(adata, states, min_coverage=0)

    def test_an_unused_one_is_no_matter(self, tiny):
        adata = self.repeated(tiny, tiny.var_names[0])
        tam.tl.score(adata, tam.read_signatures({"s": list(tiny.var_names[1:6])}))
        assert tam.get.scores(adata)["s"].notna().all()

    def test_ensembl_ids_tell_them_apart(self, tiny, states):
        adata = self.repeated(tiny, tiny.var_names[0])
        adata.var["gene_ids"] = [human_genes().ensembl[s] for s in adata.var_names]
        adata.var.iloc[-1, 0] = "ENSG99999999999"
        plain = tiny.copy()
        tam.tl.score(adata, tam.read_signatures({"s": list(tiny.var_names[:6])}))
        assert tam.get.coverage(adata).loc["s", "n_present"] == 6
        assert plain.n_vars == 40
