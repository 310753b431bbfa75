"""Whose genes a matrix has: by ids, of two species by expression."""

from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tamannot as tam
from tamannot.data import species_of, unpack
from tamannot.errors import SpeciesError
from tamannot.signature import human_genes, recognise_species

ANY = tam.read_signatures({"s": ["CD68", "Cd68", "CD14", "Cd14"]})


@pytest.fixture(scope="module")
def human() -> ad.AnnData:
    return tam.datasets.simulate(60, n_samples=2, n_genes=2000, rng=1)


@pytest.fixture(scope="module")
def macrophage(human) -> np.ndarray:
    return (human.obs["truth_compartment"].astype(str) == "macrophage").to_numpy()


def as_mouse(names) -> list[str]:
    """Return names as mouse genes have them: ``Cd68``, ``H2-T7``, ``Gm10007``, ``mt-Nd1``."""
    own = {"LINC": "Gm1{:04d}", "HLA-": "H2-T{}", "C1or": "Gm2{:04d}"}
    made = [own[g[:4]].format(i) if g[:4] in own else g.capitalize() for i, g in enumerate(names)]
    return [f"mt-{g[3:].capitalize()}" if g.startswith("Mt-") else g for g in made]


def mouse_ids(names) -> list[str]:
    """Mouse Ensembl ids of the genes that the library has, made-up ones of the others."""
    own = {g.symbol: g.ensembl for s in tam.load_signatures(species="mouse").values() for g in s.all_genes}
    return [own.get(g.capitalize()) or f"ENSMUSG9{i:010d}" for i, g in enumerate(names)]


def ensembl(names) -> list[str]:
    table = human_genes().ensembl
    return [table.get(g) or f"ENSG9{i:010d}" for i, g in enumerate(names)]


def of_two(human, mouse_cells, human_names, mouse_names) -> ad.AnnData:
    """Mouse cells that express the mouse genes among human ones, as an alignment to both genomes gives them."""
    mine = sp.diags(mouse_cells.astype(float))
    others = sp.diags((~mouse_cells).astype(float))
    x = sp.hstack([others @ human.X, mine @ human.X]).tocsr().astype(np.float32)
    adata = ad.AnnData(x, obs=human.obs.copy(), var=pd.DataFrame(index=[*human_names, *mouse_names]))
    adata.var_names_make_unique()
    return adata


def named(adata: ad.AnnData, names: list[str]) -> ad.AnnData:
    out = adata.copy()
    out.var_names = names
    return out


def compartments(adata: ad.AnnData) -> pd.Series:
    tam.tl.annotate(adata, tissue="brain")
    return adata.obs["tam_compartment"].astype(str)


NAMES = {
    "symbols": (list, as_mouse),
    "Ensembl ids": (ensembl, mouse_ids),
    "prefixes": (lambda n: [f"GRCh38_{g}" for g in n], lambda n: [f"mm10___{g}" for g in as_mouse(n)]),
    "Seurat's prefixes": (lambda n: [f"GRCh38-{g}" for g in n], lambda n: [f"mm10---{g}" for g in as_mouse(n)]),
    "other genomes": (lambda n: [f"hg38-{g}" for g in n], lambda n: [f"GRCm39-{g}" for g in as_mouse(n)]),
}


def way_out(error: pytest.ExceptionInfo[SpeciesError], adata: ad.AnnData) -> dict[str, ad.AnnData]:
    """Run the lines of the message as they are printed."""
    return after(str(error.value).partition("genes: ")[2], adata)


def after(lines: str, adata: ad.AnnData) -> dict[str, ad.AnnData]:
    found = {"adata": adata}
    exec(lines, found)  # noqa: S102 - the lines are ours
    return found


@pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
@pytest.mark.parametrize("kind", NAMES)
def test_cells_of_two_species_are_refused_with_lines_that_part_them(human, macrophage, kind):
    adata = of_two(human, macrophage, *(names(human.var_names) for names in NAMES[kind]))
    with pytest.raises(SpeciesError, match="of two species") as error:
        tam.tl.annotate(adata)
    parts = way_out(error, adata)
    for species, cells, names in zip(("human", "mouse"), (~macrophage, macrophage), NAMES[kind], strict=True):
        clean = named(human[cells].copy(), names(human.var_names))
        found = compartments(parts[species])
        assert parts[species].uns["tamannot"]["tam"]["matrix"]["species"] == species
        assert (found == compartments(clean)).mean() > 0.97
        assert ((found == "macrophage").mean() > 0.9) == (species == "mouse")


@pytest.mark.parametrize("kept", [0.1, 0.5])
def test_either_species_may_have_fewer_genes(human, macrophage, kept):
    adata = of_two(human, macrophage, list(human.var_names), as_mouse(human.var_names))
    common = np.argsort(-np.asarray(human.X.sum(axis=0)).ravel())[: int(kept * human.n_vars)]
    for columns in (
        np.concatenate([common, np.arange(human.n_vars, adata.n_vars)]),
        np.concatenate([np.arange(human.n_vars), human.n_vars + common]),
    ):
        with pytest.raises(SpeciesError, match="of two species"):
            tam.tl.annotate(adata[:, np.sort(columns)].copy())


def test_a_few_cells_of_another_species_are_refused_too(human, macrophage):
    few = macrophage & (np.cumsum(macrophage) <= 3)
    adata = of_two(human, few, list(human.var_names), as_mouse(human.var_names))
    with pytest.raises(SpeciesError, match=f"3 mouse, {human.n_obs - 3} human"):
        tam.tl.annotate(adata)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_names_that_stand_twice_in_the_two_genomes(human, macrophage):
    adata = of_two(human, macrophage, list(human.var_names), as_mouse(human.var_names))
    adata.var_names = [*human.var_names, *as_mouse(human.var_names)]
    with pytest.raises(SpeciesError) as error:
        tam.tl.annotate(adata)
    assert way_out(error, adata)["human"].var_names.is_unique


@pytest.mark.parametrize("place", ["raw", "counts", "column"])
def test_the_lines_name_where_the_matrix_and_ids_are(human, macrophage, place):
    adata = of_two(human, macrophage, list(human.var_names), as_mouse(human.var_names))
    if place == "raw":
        adata.raw = adata.copy()
        adata = adata[:, :50].copy()
        adata.X = adata.X.toarray() - 1
    elif place == "counts":
        adata.layers["counts"] = adata.X.copy()
        adata.X = adata.X.log1p()
    else:
        adata.var = pd.DataFrame({"Gene": list(adata.var_names)}, index=[str(i) for i in range(adata.n_vars)])
    with pytest.raises(SpeciesError) as error:
        tam.tl.annotate(adata)
    parts = way_out(error, adata)
    assert parts["mouse"].n_obs == macrophage.sum()
    assert unpack(parts["mouse"], ANY, layer="X").species == "mouse"


@pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
@pytest.mark.parametrize("species", ["human", "mouse"])
def test_cells_of_one_species_aligned_to_both_genomes(human, species):
    mouse = np.full(human.n_obs, species == "mouse")
    adata = of_two(human, mouse, list(human.var_names), as_mouse(human.var_names))
    clean = named(human, as_mouse(human.var_names) if species == "mouse" else list(human.var_names))
    found, wanted = compartments(adata) == "macrophage", compartments(clean) == "macrophage"
    assert (found == wanted).mean() > 0.97
    assert adata.uns["tamannot"]["tam"]["matrix"]["species"] == species
    note = next(w for w in adata.uns["tamannot"]["tam"]["warnings"] if "The gene ids are mouse and human" in w)
    rest = after(note.partition("to remove them: ")[2], adata)["adata"]
    assert rest.n_vars == pytest.approx(human.n_vars, rel=0.02)
    assert unpack(rest, ANY).on_species == ""


def test_the_word_of_the_user_goes_before_all(human, macrophage):
    adata = of_two(human, macrophage, list(human.var_names), as_mouse(human.var_names))
    assert unpack(adata, ANY, species="human").species == "human"
    prefixed = of_two(human, macrophage, *(names(human.var_names) for names in NAMES["prefixes"]))
    assert unpack(prefixed, tam.load_signatures(axis="state"), species="human").species == "human"


@pytest.mark.parametrize("n", [1, 9])
def test_a_handful_of_names_is_no_second_species(human, n):
    names = list(human.var_names)
    assert unpack(named(human, [*as_mouse(names[:n]), *names[n:]]), ANY).species == "human"
    assert unpack(named(human, [*names[:n], *as_mouse(names[n:])]), ANY).species == "mouse"


OTHERS = {
    "rat": "ENSRNOG{:011d}",
    "rhesus macaque": "ENSMMUG{:011d}",
    "pig": "ENSSSCG{:011d}",
    "dog": "ENSCAFG{:011d}",
    "zebrafish": "ENSDARG{:011d}",
    "fruit fly": "FBgn{:07d}",
    "another species": "ENSXYZG{:011d}",
}


@pytest.mark.parametrize("species", OTHERS)
@pytest.mark.parametrize("where", ["all ids", "some ids", "a column"])
def test_other_species_are_named_and_never_taken_for_ours(human, species, where):
    ids = [OTHERS[species].format(i) for i in range(human.n_vars)]
    symbols = as_mouse(human.var_names) if species == "rat" else list(human.var_names)
    if where == "a column":
        adata = named(human, symbols)
        adata.var["gene_ids"] = ids
    else:
        some = [i if n % 4 else s for n, (i, s) in enumerate(zip(ids, symbols, strict=True))]
        adata = named(human, ids if where == "all ids" else some)
    with pytest.raises(SpeciesError, match=f"The gene ids are {species}"):
        tam.tl.annotate(adata)
    with pytest.raises(SpeciesError, match=f"are {species}, but"):
        tam.tl.score(adata, tam.load_signatures(axis="state"))
    assert unpack(adata, tam.read_signatures({"s": [ids[0], ids[1], symbols[0], symbols[1]]})).species == species


def test_orthologues_of_another_species_are_used_as_the_message_says(human):
    adata = named(human, [OTHERS["pig"].format(i) for i in range(human.n_vars)])
    adata.var["orthologue"] = list(human.var_names)
    data = unpack(adata, tam.load_signatures(axis="state"), gene_symbols="orthologue", species="human")
    assert (data.species, data.ids_from) == ("human", "orthologue")


@pytest.mark.parametrize(
    ("ids", "species"),
    [
        (["Cd68", "Spp1", "RT1-Da", "RGD1309651", "AABR07000398.1"], "rat"),
        (["CD68", "SPP1", "SLA-DRA", "SLA-1", "SLA-DQB1"], "pig"),
        (["CD68", "SPP1", "MAMU-DRA", "MAMU-A", "MAMU-E"], "macaque"),
        (["cd68", "spp1", "si:ch211-1a1.1", "zgc:12345", "si:dkey-1b1.2"], "zebrafish"),
        (["cd68", "spp1", "hla-dra", "hla-a", "c1orf112", "linc00115", "linc01128"], "human"),
        (["cd68", "spp1", "h2-aa", "gm12345", "ly6c2", "c1qa"], "mouse"),
        (["cd68", "spp1", "c1qa"], "unknown"),
        (["CD68", "SPP1", "H2-AA", "GM12345", "1700010I14RIK"], "mouse"),
        (["CD68", "SPP1", "H2-AA", "GM12345"], "human"),
        (["CD68", "HLA-DRA", "HLA-A", "HLA-B", "HLA-C", "CCL12", "LY6C2", "GM12345"], "human"),
        (["Cd68", "Spp1", "ENSRNOG00000000001", "ENSRNOG00000000002", "ENSRNOG00000000003"], "rat"),
        (["CD68", *(f"ENSG{i:011d}" for i in range(40)), "ENSSASG00005000002"], "human"),
    ],
)
def test_what_the_ids_say(ids, species):
    assert recognise_species(ids).species == species


@pytest.mark.filterwarnings("ignore::tamannot.errors.CoverageWarning")
def test_mouse_in_capitals_is_annotated_as_mouse(human, caplog):
    plain = named(human, as_mouse(human.var_names))
    capitals = named(plain, [g.upper() for g in plain.var_names])
    tam.tl.annotate(plain, tissue="brain")
    tam.tl.annotate(capitals, tissue="brain")
    assert "mouse symbols in capitals, so mouse signatures are used" in caplog.text
    assert capitals.uns["tamannot"]["tam"]["matrix"]["species"] == "mouse"
    pd.testing.assert_frame_equal(tam.get.annotations(capitals), tam.get.annotations(plain))
    assert tam.get.coverage(capitals)["n_present"].equals(tam.get.coverage(plain)["n_present"])


@pytest.mark.filterwarnings("ignore::tamannot.errors.CoverageWarning")
def test_small_letters_that_tell_no_species_are_said(tiny):
    tiny.var_names = tiny.var_names.str.lower()
    assert species_of(tiny, gene_symbols=None, species="auto") == "human"
    with pytest.warns(tam.errors.TamannotWarning, match="in lower case, which does not show the species"):
        tam.tl.score(tiny, tam.load_signatures(axis="state"), min_coverage=0)


def test_orthologues_in_the_names_go_before_the_ids_of_mouse(human):
    adata = named(human, list(human.var_names))
    adata.var["gene_ids"] = mouse_ids(human.var_names)
    assert species_of(adata, gene_symbols=None, species="auto") == "human"
    data = unpack(adata, tam.load_signatures(axis="state", species="mouse"))
    assert (data.species, data.ids_from) == ("mouse", "gene_ids")


@pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
def test_a_model_of_labels_can_be_trained_on_another_species(human):
    adata = named(human, [OTHERS["pig"].format(i) for i in range(human.n_vars)])
    model = tam.tl.train(adata, "truth_compartment")
    model.predict(adata)
    assert (adata.obs["tam_model_label"].astype(str) == adata.obs["truth_compartment"].astype(str)).mean() > 0.5
    with pytest.raises(SpeciesError, match="of two species"):
        tam.tl.train(
            of_two(human, np.arange(human.n_obs) % 2 == 0, list(human.var_names), as_mouse(human.var_names)),
            ["a", "b"] * (human.n_obs // 2),
        )


def test_the_pattern_of_mouse_ids_has_no_groups():
    """pandas warns of groups, and arrow knows no look-around."""
    from tamannot.signature._gene_ids import MOUSE_IDS

    assert "(" not in MOUSE_IDS
    wanted = {"CD68": False, "C1orf112": False, "ENSG00000129226": False, "Cd68": True, "mt-Nd1": True}
    wanted |= {"H2-Aa": True, "Gm1": True, "1700010I14Rik": True, "ENSMUSG00000018774": True}
    assert {i: bool(re.search(MOUSE_IDS, i)) for i in wanted} == wanted


@pytest.mark.parametrize("command", ["annotate", "score", "check"])
def test_the_command_line_refuses_in_one_line_and_writes_nothing(run, human, macrophage, tmp_path, command):
    path, out = tmp_path / "in.h5ad", tmp_path / "out.h5ad"
    adata = of_two(human, macrophage, list(human.var_names), as_mouse(human.var_names))
    adata.write_h5ad(path)
    options = {"annotate": ["-o", out], "score": ["-o", out, "--signatures", "state"], "check": []}
    code, _, err = run(command, path, *options[command])
    assert (code, err.count("\n")) == (2, 1)
    assert "The genes are of two species" in err
    assert after(err.partition("genes: ")[2], ad.read_h5ad(path))["mouse"].n_obs == macrophage.sum()
    assert list(tmp_path.iterdir()) == [path]
