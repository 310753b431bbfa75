"""The bundled library."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import tamannot as tam
from tamannot._resources import resource_path
from tamannot.errors import SignatureFormatError, SignatureNotFoundError, TamannotError
from tamannot.signature import AXES, SignatureSet, human_genes, load_signature, load_signatures
from tamannot.signature._library import Library, bundled
from tamannot.signature._toml import parse_file, to_signature, to_toml

FILES = sorted(resource_path("signatures").glob("*/*/*.toml"))


HUMAN = load_signatures()


IDS = {
    "compartment": """macrophage monocyte dendritic plasmacytoid neutrophil mast t_nk b plasma glial_like
        oligodendrocyte opc neuron ependymal schwann endothelial mural fibroblast epithelial_like
        melanocyte platelet erythroid""",
    "origin": "microglia monocyte_derived border_associated",
    "state": "lipid_associated interferon_primed pro_angiogenic inflammatory immunoregulatory",
    "overlay": "hypoxic proliferating dissociation_stress glucocorticoid_response microglial_inflammatory",
    "polarization": "m1 m2",
}


PROGRAMS = [
    "iron_uptake",
    "iron_storage",
    "iron_export",
    "ferritinophagy",
    "heme_iron_recycling",
    "cystine_gsh",
    "gpx4_axis",
    "fsp1_coq10",
    "gch1_bh4",
    "dhodh_mitochondrial",
    "pufa_pl_synthesis",
    "lipid_peroxidation_enzymes",
    "lipid_peroxide_detox",
    "mufa_protection",
    "nrf2_targets",
    "membrane_repair",
]


SUMMARIES = ["ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance"]


MODULES = {
    "immunoregulatory": ["immunoregulatory_scavenger"],
    "inflammatory": ["inflammatory_tnf"],
    "interferon_primed": ["interferon_primed_type_i", "interferon_primed_ifng"],
    "monocyte_derived": ["monocyte_derived_recent", "monocyte_derived_differentiated"],
    "macrophage": ["macrophage_tam", "macrophage_microglia"],
    "monocyte": ["monocyte_classical", "monocyte_nonclassical"],
    "dendritic": ["dendritic_cdc1", "dendritic_cdc2", "dendritic_mature"],
    "t_nk": ["t_nk_t", "t_nk_nk"],
}


# Programs that go with origin or identity: scored by their own name, part of no state.
APART = ["immunoregulatory_complement", "inflammatory_cxcl"]


def test_path_of_every_file_agrees_with_its_content():
    said = {path: parse_file(path) for path in FILES}
    wrong = [p for p, f in said.items() if (f.species, f.id, f.version) != (p.parts[-3], p.parts[-2], p.stem)]
    assert len(said) > 250
    assert wrong == []


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_every_file_written_and_read_has_the_same_content_and_digest(species, tmp_path):
    library, copy = bundled(species), tmp_path / "copy.toml"
    wrong = []
    for path in (p for p in FILES if p.parts[-3] == species):
        signature = library.get(f"{path.parent.name}@{path.stem}")
        copy.write_text(to_toml(signature), encoding="utf-8")
        again = to_signature(parse_file(copy), library.get)
        if again != signature or again.digest != signature.digest:
            wrong.append(path)
    assert wrong == []


def test_ensembl_ids_are_those_of_the_gene_table():
    table = human_genes().ensembl
    genes = [(i, g) for i, s in HUMAN.items() for g in s.genes]
    assert [(i, g.symbol, g.ensembl) for i, g in genes if table.get(g.symbol) != (g.ensembl or "")] == []


def test_fewer_than_five_genes_are_provisional():
    assert [i for i, s in HUMAN.items() if s.genes and len(s.genes) < 5 and not s.provisional] == []


def test_axes_hold_the_ids_of_the_contract():
    assert {axis: sorted(load_signatures(axis=axis)) for axis in IDS} == {a: sorted(i.split()) for a, i in IDS.items()}


def test_ferroptosis_holds_sixteen_programs_and_three_summaries():
    assert len(PROGRAMS) == 16
    assert sorted(load_signatures(axis="ferroptosis")) == sorted(PROGRAMS + SUMMARIES)


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_summaries_are_made_of_their_programs(species):
    library = load_signatures(species=species)
    genes = {
        i: {g.symbol: g.direction for g in library[i].genes} for i in (*PROGRAMS, *SUMMARIES, "dehydrocholesterol")
    }
    drives = ("iron_uptake", "ferritinophagy", "pufa_pl_synthesis", "lipid_peroxidation_enzymes")
    restrains = [i for i in PROGRAMS if i not in (*drives, "heme_iron_recycling")]
    drive = {symbol: d for i in drives for symbol, d in genes[i].items()}
    defence = {symbol: d for i in (*restrains, "dehydrocholesterol") for symbol, d in genes[i].items()}
    assert genes["ferroptosis_drive"] == drive
    assert genes["ferroptosis_defence"] == defence
    turned = {symbol: "down" if d == "up" else "up" for symbol, d in defence.items()}
    assert genes["ferroptosis_balance"] == drive | turned


def test_composites_have_their_modules():
    assert {i: [m.id for m in s.modules] for i, s in HUMAN.items() if s.modules} == MODULES
    assert {m.axis for i in MODULES for m in HUMAN[i].modules} == {"module"}


def test_every_other_module_belongs_to_a_composite():
    belonging = [m for modules in MODULES.values() for m in modules]
    assert sorted(load_signatures(axis="module")) == sorted(belonging + APART)


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_gene_of_two_origins_or_of_an_origin_and_a_state_says_why(species):
    origins, states = (load_signatures(axis, species=species) for axis in ("origin", "state"))
    pairs = [(a, b) for i, a in enumerate(origins) for b in [*list(origins)[i + 1 :], *states]]
    both = origins | states
    silent = []
    for a, b in pairs:
        theirs = {g.key: g for g in both[b].all_genes}
        shared = [g for g in both[a].all_genes if g.key in theirs]
        silent += [f"{g.symbol}: {a}, {b}" for g in shared if b not in (g.note or "") or a not in theirs[g.key].note]
    assert silent == []


def test_gene_has_one_home_among_the_programs():
    homes: dict[str, list[str]] = {}
    for program in PROGRAMS:
        for gene in HUMAN[program].genes:
            homes.setdefault(gene.symbol, []).append(program)
    assert {g: p for g, p in homes.items() if len(p) > 1} == {}


def test_every_program_says_its_effect_on_self_and_neighbour():
    assert [p for p in PROGRAMS if HUMAN[p].effect_self is None or HUMAN[p].effect_neighbour is None] == []


def test_inhibitors_in_programs_are_down_genes():
    inhibitors = {
        "iron_export": {"BACH1", "HAMP"},
        "gch1_bh4": {"GCHFR"},
        "cystine_gsh": {"CHAC1"},
        "nrf2_targets": {"ABCC1", "KEAP1"},
    }
    assert {p: s & {g.symbol for g in HUMAN[p].down} for p, s in inhibitors.items()} == inhibitors


def test_membrane_repair_is_not_read_per_cell():
    assert HUMAN["membrane_repair"].per_cell is False


def test_everything_is_loaded_in_the_order_of_axes_then_ids():
    order = [(AXES.index(s.axis), i) for i, s in HUMAN.items()]
    assert order == sorted(order)
    assert len(HUMAN) == len({p.parent for p in FILES if p.parts[-3] == "human"})


def test_several_axes_come_in_the_order_asked_for():
    several = load_signatures(axis=["polarization", "origin"])
    assert list(several) == ["m1", "m2", "border_associated", "microglia", "monocyte_derived"]


def test_load_signatures_gives_a_set():
    assert isinstance(HUMAN, SignatureSet)


def test_unknown_axis_is_refused_with_the_axes():
    with pytest.raises(SignatureNotFoundError, match=r"No axis 'states'.*state"):
        load_signatures(axis="states")


@pytest.mark.parametrize("load", [lambda s: load_signature("m1", species=s), lambda s: load_signatures(species=s)])
@pytest.mark.parametrize("species", ["rat", "", "..", "human/m1"])
def test_unknown_species_is_refused(load, species):
    with pytest.raises(SignatureNotFoundError, match="human"):
        load(species)


def test_exact_version_is_loaded():
    assert load_signature("m1@1.0.0").name == "m1@1.0.0"


def test_no_version_is_the_newest():
    assert load_signature("m1") == HUMAN["m1"]


def test_unknown_version_is_refused_with_the_versions():
    with pytest.raises(SignatureNotFoundError, match=r"No version '9\.9\.9' of signature 'm1'.*1\.0\.0"):
        load_signature("m1@9.9.9")


def test_unknown_id_is_refused_with_the_nearest():
    with pytest.raises(SignatureNotFoundError, match="Did you mean 'lipid_associated'") as caught:
        load_signature("lipid_asociated")
    assert isinstance(caught.value, TamannotError)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize("name", ["", "@", "../human/m1", "m1/../m2", "zzzzzzzz", "m1@../m2/1.0.0"])
def test_odd_name_is_refused(name):
    with pytest.raises(SignatureNotFoundError):
        load_signature(name)


def demo_text(version, signature_id="demo"):
    signature = HUMAN["m1"]
    text = to_toml(signature).replace('id = "m1"', f'id = "{signature_id}"')
    return text.replace(f'version = "{signature.version}"', f'version = "{version}"')


@pytest.fixture
def library(tmp_path):
    (tmp_path / "demo").mkdir()
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        (tmp_path / "demo" / f"{version}.toml").write_text(demo_text(version), encoding="utf-8")
    return Library(tmp_path)


def test_versions_are_ordered_as_numbers(library):
    assert library.versions("demo") == ["1.2.0", "1.9.0", "1.10.0"]


def test_newest_version_is_by_number(library):
    assert library.get("demo").version == "1.10.0"


def test_older_version_stays_loadable(library):
    assert library.get("demo@1.2.0").version == "1.2.0"


@pytest.mark.parametrize("text", [demo_text("3.0.0"), demo_text("2.0.0", "other")], ids=["version", "id"])
def test_file_that_disagrees_with_its_path_is_refused(library, tmp_path, text):
    (tmp_path / "demo" / "2.0.0.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SignatureFormatError, match=r"2\.0\.0\.toml"):
        library.get("demo")


def test_file_is_read_once(library, tmp_path):
    first = library.get("demo")
    (tmp_path / "demo" / "1.10.0.toml").write_text("broken", encoding="utf-8")
    assert library.get("demo") is first


# Ferroptosis sets against experiments where cells do die; skipped where the table of contrasts is absent.


TABLE = "contrasts_ferroptosis_apoptosis_t.csv.gz"


@pytest.fixture(scope="module")
def ranks() -> pd.DataFrame:
    """Genes by experiments: rank of t among the genes that were measured there, from 0 to 1."""
    folder = os.environ.get("TAMANNOT_TEST_DATA", "")
    if not folder or not (path := Path(folder) / TABLE).is_file():
        pytest.skip(f"contrasts are absent: TAMANNOT_TEST_DATA={folder!r} has no {TABLE}")
    t = pd.read_csv(path, index_col=0, low_memory=False)
    return t.replace([np.inf, -np.inf], np.nan).rank(pct=True)


@pytest.fixture(scope="module")
def makes(ranks) -> pd.Series:
    """Of each experiment whether its study chose genes: every second by name, of either kind."""
    found = {}
    for kind in ("ferroptosis", "apoptosis"):
        names = [c for c in ranks if c.startswith(kind)]
        studies = sorted({name.split(" | ")[1].split()[0] for name in names})
        found |= {name: studies.index(name.split(" | ")[1].split()[0]) % 2 == 0 for name in names}
    return pd.Series(found)


def signed_rank(ranks: pd.DataFrame, signature: tam.Signature) -> pd.Series:
    """Return the weighted mean of rank - 0.5, down genes turned round, over the genes that were measured."""
    weights = pd.Series({g.symbol: g.weight * (1 if g.direction == "up" else -1) for g in signature.genes})
    here = ranks.reindex(weights.index) - 0.5
    return here.mul(weights, axis=0).sum() / here.notna().mul(weights.abs(), axis=0).sum()


def auroc(values: pd.Series) -> float:
    return roc_auc_score(values.index.str.startswith("ferroptosis"), values)


def test_response_tells_ferroptosis_from_apoptosis_in_studies_that_did_not_choose_it(ranks, makes):
    held_out = makes.index[~makes]
    assert held_out.str.startswith("ferroptosis").sum() == 9
    found = signed_rank(ranks[held_out], tam.load_signature("ferroptosis_response"))
    assert auroc(found) >= 0.85
    assert (found[found.index.str.startswith("ferroptosis")] > 0).all()


def test_notes_of_the_response_are_the_mean_ranks_of_the_studies_that_chose(ranks, makes):
    making = pd.DataFrame({"name": makes.index[makes]})
    making["kind"], making["study"] = zip(*making["name"].str.split(" | ", regex=False), strict=True)
    making["study"] = making["study"].str.split().str[0]
    by_study = ranks[making["name"]].T.groupby([making["kind"].to_numpy(), making["study"].to_numpy()]).mean()
    means = by_study.groupby(level=0).mean().T
    for gene in tam.load_signature("ferroptosis_response").genes:
        told = f"mean rank {means.loc[gene.symbol, 'ferroptosis']:.2f} in ferroptosis, "
        assert gene.note.startswith(f"{told}{means.loc[gene.symbol, 'apoptosis']:.2f} in apoptosis")


@pytest.mark.parametrize(
    ("signature_id", "fell", "told"),
    [
        ("ferroptosis_drive", 6, "rose in 13 and fell in 6"),
        ("ferroptosis_defence", 4, "rose in 15 and fell in 4"),
        ("ferroptosis_balance", 15, "fell in 15 and rose in 4"),
    ],
)
def test_texts_of_the_summaries_say_how_they_behaved(ranks, signature_id, fell, told):
    signature = tam.load_signature(signature_id)
    values = signed_rank(ranks, signature)
    assert (values[values.index.str.startswith("ferroptosis")] < 0).sum() == fell
    text = " ".join(signature.description.split())
    assert told in text
    assert f"{auroc(values):.2f}" in text
