"""An input is replaced only where that was asked for, by whatever name the output goes."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot._progress import Progress
from tamannot.errors import OutputError, ParameterError, SignatureNotFoundError
from tamannot.io import _containers, score_file, train_file
from tamannot.io._files import signatures_named
from tamannot.io._output import replacing

FILE = pytest.mark.filterwarnings("ignore:Variable names are not unique")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@FILE
def test_out_is_the_input_with_annotations(example_file, annotated, tmp_path):
    before = digest(example_file)
    summary = tam.annotate_file(example_file, tmp_path / "out.h5ad")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    pd.testing.assert_frame_equal(tam.get.annotations(back), tam.get.annotations(annotated))
    assert (back.X != annotated.X).nnz == 0
    assert summary.n_macrophages == 19
    assert digest(example_file) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5ad"]


@FILE
def test_zarr_in_and_out(example, annotated, tmp_path):
    example.write_zarr(tmp_path / "in.zarr")
    tam.annotate_file(tmp_path / "in.zarr", tmp_path / "out.zarr")
    back = ad.read_zarr(tmp_path / "out.zarr")
    assert back.obs["tam_state"].astype(str).tolist() == annotated.obs["tam_state"].astype(str).tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


@FILE
@pytest.mark.nightly
def test_zarr_may_be_replaced(example, tmp_path):
    example.write_zarr(tmp_path / "in.zarr")
    for _ in range(2):
        tam.annotate_file(tmp_path / "in.zarr", tmp_path / "out.zarr", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


@FILE
def test_csv_alone(example_file, annotated, tmp_path):
    tam.annotate_file(example_file, None, table=tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv", index_col="cell", keep_default_na=False)
    assert table["tam_state"].tolist() == annotated.obs["tam_state"].astype(str).tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@FILE
def test_parquet(example_file, annotated, tmp_path):
    pytest.importorskip("pyarrow")
    tam.annotate_file(example_file, None, table=tmp_path / "t.parquet")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["tam_origin"].astype(str).tolist() == annotated.obs["tam_origin"].astype(str).tolist()


@FILE
def test_parquet_without_pyarrow_says_what_to_install(example_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tamannot.io._targets.find_spec", lambda _: None)
    with pytest.raises(ParameterError, match=r"pip install 'tamannot\[parquet\]'"):
        tam.annotate_file(example_file, None, table=tmp_path / "t.parquet")


@FILE
def test_existing_out_needs_overwrite(example_file, tmp_path):
    out = tmp_path / "out.h5ad"
    out.write_text("mine")
    with pytest.raises(OutputError, match=r"out\.h5ad already exists.*overwrite=True"):
        tam.annotate_file(example_file, out)
    assert out.read_text() == "mine"
    tam.annotate_file(example_file, out, overwrite=True)
    assert "tam_state" in ad.read_h5ad(out).obs


@FILE
@pytest.mark.parametrize(
    ("out", "message"),
    [("x.txt", r"must end in \.h5ad or \.zarr"), ("nowhere/x.h5ad", "no folder"), (None, "No output")],
)
def test_bad_targets_are_refused(example_file, tmp_path, out, message):
    with pytest.raises((OutputError, ParameterError), match=message):
        tam.annotate_file(example_file, tmp_path / out if out else None)
    assert not list(tmp_path.iterdir())


@FILE
class TestReplacing:
    def test_an_error_leaves_the_target_as_it_was(self, tmp_path):
        target = tmp_path / "a.txt"
        target.write_text("old")
        with pytest.raises(ZeroDivisionError), replacing(target) as beside:
            beside.write_text("half")
            raise ZeroDivisionError
        assert target.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]

    def test_interruption_leaves_nothing(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as beside:
            beside.write_text("half")
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_is_an_output_error(self, tmp_path):
        with pytest.raises(OutputError, match="No space left on device"), replacing(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")
        assert not list(tmp_path.iterdir())

    def test_both_outputs_or_none(self, example_file, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
        with pytest.raises(OutputError, match="No space"):
            tam.annotate_file(example_file, tmp_path / "o.h5ad", table=tmp_path / "t.csv")
        assert not list(tmp_path.iterdir())


@FILE
@pytest.mark.parametrize("error", [errno.EXDEV, errno.ENOSYS, None])
@pytest.mark.parametrize("before", [0, 2])
def test_a_system_that_cannot_copy_within_itself_changes_nothing(example_file, tmp_path, monkeypatch, error, before):
    copied, calls = getattr(os, "copy_file_range", None), []

    def refuse_once(old, new, n):
        calls.append(n)
        if len(calls) != before + 1 and copied is not None:
            return copied(old, new, n)
        if error is None:  # as some systems do of files that they cannot copy
            return 0
        raise OSError(error, "not here")

    tam.annotate_file(example_file, tmp_path / "usual.h5ad", tissue="brain")
    monkeypatch.setattr(_containers, "_PART", 10_000)
    monkeypatch.setattr(os, "copy_file_range", refuse_once, raising=False)
    tam.annotate_file(example_file, tmp_path / "other.h5ad", tissue="brain")
    assert (tmp_path / "other.h5ad").read_bytes() == (tmp_path / "usual.h5ad").read_bytes()


# An input is replaced only where that was asked for, by whatever name the output goes.


IN_PLACE = pytest.mark.filterwarnings("ignore::Warning")


def same_name(source: Path) -> Path:
    return source


def relative(source: Path) -> Path:
    return Path(os.path.relpath(source))


def symbolic(source: Path) -> Path:
    link = source.with_name(f"link{source.suffix}")
    link.symlink_to(source)
    return link


def hard(source: Path) -> Path:
    link = source.with_name(f"hard{source.suffix}")
    os.link(source, link)
    return link


def through_a_folder(source: Path) -> Path:
    folder = source.parent.with_name("other")
    folder.symlink_to(source.parent)
    return folder / source.name


WAYS = [same_name, relative, symbolic, hard, through_a_folder]


@pytest.fixture(scope="module")
def sources(_example, tmp_path_factory) -> Path:
    """Sixty cells in each kind of file."""
    folder = tmp_path_factory.mktemp("sources")
    _example[:60].copy().write_h5ad(folder / "in.h5ad")
    _example[:60].copy().write_zarr(folder / "in.zarr")
    return folder


@pytest.fixture(params=["in.h5ad", "in.zarr"])
def source(request, sources, tmp_path) -> Path:
    (tmp_path / "folder").mkdir()
    copy = shutil.copy if request.param == "in.h5ad" else shutil.copytree
    return copy(sources / request.param, tmp_path / "folder" / request.param)


def columns(path: Path) -> list[str]:
    return list((ad.read_h5ad(path) if path.suffix == ".h5ad" else ad.read_zarr(path)).obs)


@IN_PLACE
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_input_is_no_output(source, way: Callable[[Path], Path], overwrite, bytes_of):
    if way is hard and source.is_dir():
        pytest.skip("folders have no hard links")
    out, before = way(source), bytes_of(source)
    with pytest.raises(OutputError, match=r"is the input.*in_place=True"):
        tam.annotate_file(source, out, overwrite=overwrite)
    with pytest.raises(OutputError, match=r"is the input.*in_place=True"):
        score_file(source, out, signatures=["state"], overwrite=overwrite)
    assert bytes_of(source) == before


# Scores are written in place into both kinds by day, and calls into a zarr folder that is new.
EACH_KIND = pytest.mark.parametrize(
    "source", ["in.h5ad", pytest.param("in.zarr", marks=pytest.mark.nightly)], indirect=True
)


@IN_PLACE
@EACH_KIND
@pytest.mark.parametrize("way", [same_name, pytest.param(symbolic, marks=pytest.mark.nightly)])
def test_in_place(source, way: Callable[[Path], Path]):
    out = way(source)
    tam.annotate_file(source, out, in_place=True)
    assert "tam_state" in columns(source)
    assert out.is_symlink() == (way is symbolic)
    assert {p.name for p in source.parent.iterdir()} == {source.name, out.name}


@IN_PLACE
@EACH_KIND
def test_in_place_needs_no_other_name(source, tmp_path):
    summary = tam.annotate_file(source, in_place=True, table=tmp_path / "t.csv")
    assert summary.outputs == (str(source), str(tmp_path / "t.csv"))
    assert "tam_state" in columns(source)


@IN_PLACE
def test_in_place_and_another_output_do_not_go_together(source, tmp_path, bytes_of):
    before = bytes_of(source)
    with pytest.raises(ParameterError, match=r"in_place=True writes into the input.*Leave out one of the two"):
        tam.annotate_file(source, tmp_path / "out.h5ad", in_place=True)
    assert bytes_of(source) == before


@IN_PLACE
def test_scores_in_place(source):
    score_file(source, None, signatures=["state"], in_place=True)
    back = ad.read_h5ad(source) if source.suffix == ".h5ad" else ad.read_zarr(source)
    assert back.obsm["tam_scores"].shape == (60, 5)


@IN_PLACE
def test_a_table_never_takes_the_place_of_the_input(example, tmp_path, bytes_of):
    path = tmp_path / "h5ad.csv"
    example.write_h5ad(path)
    before = bytes_of(path)
    with pytest.raises(OutputError, match="is the input"):
        tam.annotate_file(path, tmp_path / "out.h5ad", table=path, overwrite=True)
    assert bytes_of(path) == before


@IN_PLACE
def test_nothing_is_written_inside_the_input(example, tmp_path, bytes_of):
    example.write_zarr(tmp_path / "in.zarr")
    before = bytes_of(tmp_path / "in.zarr")
    with pytest.raises(OutputError, match="is inside the input"):
        tam.annotate_file(tmp_path / "in.zarr", tmp_path / "in.zarr" / "out.h5ad")
    assert bytes_of(tmp_path / "in.zarr") == before


@IN_PLACE
def test_an_output_does_not_replace_what_the_input_lies_in(example, tmp_path, bytes_of):
    inner = tmp_path / "all.zarr" / "tables" / "table"
    example.write_zarr(inner)
    before = bytes_of(tmp_path)
    with pytest.raises(OutputError, match="contains the input"):
        tam.annotate_file(inner, tmp_path / "all.zarr", overwrite=True)
    assert bytes_of(tmp_path) == before


@IN_PLACE
def test_in_place_by_another_name_than_h5ad_is_refused_before_any_work(example, tmp_path, bytes_of):
    example.write_h5ad(tmp_path / "x.h5")
    before = bytes_of(tmp_path)
    with pytest.raises(OutputError, match=r"x\.h5: the name must end in \.h5ad or \.zarr"):
        tam.annotate_file(tmp_path / "x.h5", in_place=True)
    assert bytes_of(tmp_path) == before


@pytest.mark.filterwarnings("ignore:Variable names are not unique", "ignore:Writing zarr v2", "ignore:zarr v3")
@pytest.mark.parametrize("end", [".h5ad", ".zarr"])
def test_a_file_that_lost_its_record_is_annotated_anew(example, tmp_path, end):
    example.obsm["tam_scores"] = np.zeros((example.n_obs, 3))  # other tools take obsm over, and leave uns behind
    source, out = tmp_path / f"in{end}", tmp_path / f"out{end}"
    getattr(example, f"write_{end[1:]}")(source)
    tam.annotate_file(source, out, tissue="brain")
    tam.tl.annotate(example, tissue="brain")
    back = ad.read_h5ad(out) if end == ".h5ad" else ad.read_zarr(out)
    pd.testing.assert_frame_equal(tam.get.scores(back), tam.get.scores(example))


# Score file.


SCORE_FILE = pytest.mark.filterwarnings("ignore:Variable names are not unique")


@SCORE_FILE
def test_the_file_has_what_score_writes(example_file, example, tmp_path):
    words = ["state", "m1"]
    summary = score_file(
        example_file, tmp_path / "o.h5ad", signatures=words, null="matched", min_coverage=0, key_added="k"
    )
    back = ad.read_h5ad(tmp_path / "o.h5ad")
    wanted = tam.load_signatures(axis="state") | tam.SignatureSet([tam.load_signature("m1")])
    tam.tl.score(example, wanted, null="matched", min_coverage=0, key_added="k")
    for kind in ("score", "z", "p"):
        pd.testing.assert_frame_equal(tam.get.scores(back, "k", kind=kind), tam.get.scores(example, "k", kind=kind))
    assert set(back.obsm) == set(example.obsm)
    assert (summary.n_obs, summary.matrix, summary.kind, summary.method) == (184, "X", "linear", "ucell")
    (note,) = summary.notes
    assert note.startswith("Missing in the data: 23 of 34 genes of immunoregulatory: AGFG1, ARHGAP18")


@SCORE_FILE
def test_signatures_may_be_values_and_methods_settings(example_file, example, tmp_path):
    own = tam.read_signatures({"mine": ["CD68", "CD14", "AIF1"]})
    score_file(example_file, None, table=tmp_path / "t.csv", signatures=own, method=tam.UCell(max_rank=500))
    tam.tl.score(example, own, method=tam.UCell(max_rank=500))
    table = pd.read_csv(tmp_path / "t.csv", index_col="cell")
    np.testing.assert_allclose(table, tam.get.scores(example), rtol=1e-6)


@SCORE_FILE
def test_of_an_annotated_file_only_what_was_scored_is_told(example_file, tmp_path):
    tam.annotate_file(example_file, tmp_path / "a.h5ad")
    how = {"signatures": ["origin"], "method": "mean", "min_coverage": 0}
    summary = score_file(tmp_path / "a.h5ad", tmp_path / "o.h5ad", table=tmp_path / "a.csv", **how)
    plain = score_file(example_file, None, table=tmp_path / "t.csv", **how)
    assert (summary.method, summary.matrix, summary.kind) == ("mean", plain.matrix, plain.kind)
    pd.testing.assert_frame_equal(summary.signatures, plain.signatures)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    assert "lipid_associated" in tam.get.scores(ad.read_h5ad(tmp_path / "o.h5ad"))  # of the annotation, which is kept


@SCORE_FILE
def test_the_summary_has_what_was_found(example_file, example, tmp_path):
    summary = score_file(example_file, None, table=tmp_path / "t.csv", signatures=["state"])
    with pytest.warns(tam.errors.CoverageWarning):
        tam.tl.score(example, tam.load_signatures(axis="state"))
    scores = tam.get.scores(example)
    pd.testing.assert_series_equal(summary.signatures["mean"], scores.mean(), check_names=False)
    pd.testing.assert_series_equal(summary.signatures["max"], scores.max(), check_names=False)
    assert np.isnan(summary.signatures.loc["interferon_primed", "mean"])
    (note,) = summary.notes
    few = "immunoregulatory, interferon_primed, pro_angiogenic"
    assert note.startswith(f"Not scored, because fewer than 50% of their genes are in the data: {few}. Missing in")


@SCORE_FILE
def test_words_may_name_the_same_signature_twice(tmp_path):
    tam.write_signatures(tam.load_signatures(axis="polarization"), tmp_path / "two.gmt")
    named = signatures_named(["m1@1.0.0", "m1", "polarization", tmp_path / "two.gmt"], "human")
    assert list(named) == ["m1", "m2"]


@SCORE_FILE
def test_words_are_those_of_the_species():
    assert {s.species for s in signatures_named(["state"], "mouse").values()} == {"mouse"}
    with pytest.raises(SignatureNotFoundError, match="or a mouse signature"):
        signatures_named(["no_such_id"], "mouse")


@SCORE_FILE
def test_a_mouse_file_takes_mouse_signatures(example, tmp_path):
    mouse = tam.load_signatures(axis="state", species="mouse")
    genes = sorted({g.symbol for s in mouse.values() for g in s.all_genes})
    adata = example[:, : len(genes)].copy()
    adata.var_names = genes
    adata.write_h5ad(tmp_path / "in.h5ad")
    score_file(tmp_path / "in.h5ad", tmp_path / "o.h5ad", signatures=["lipid_associated"])
    record = ad.read_h5ad(tmp_path / "o.h5ad").uns["tamannot"]["tam"]
    assert record["signatures"].loc["lipid_associated", "digest"] == mouse["lipid_associated"].digest


@SCORE_FILE
def test_the_report_is_told_stages_and_cells(example_file, tmp_path):
    stream = io.StringIO()
    report = Progress(after=0, stream=stream)
    score_file(example_file, None, table=tmp_path / "t.csv", signatures=["m1"], null="matched", report=report)
    report.close()
    assert set(report.seconds) == {"reading file", "reading", "expression bins", "scoring", "writing"}
    assert stream.getvalue() == "tamannot: reading file\n"


@SCORE_FILE
def test_without_a_report_nothing_is_shown(example_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(Progress.__init__.__kwdefaults__, "after", 0.0)
    score_file(example_file, None, table=tmp_path / "t.csv", signatures=["m1"], min_coverage=0)
    assert capsys.readouterr() == ("", "")


@SCORE_FILE
def test_an_error_leaves_no_output(example_file, tmp_path):
    for choices in ({"min_coverage": 2}, {"key_added": "a/b"}, {"method": "magic"}):
        with pytest.raises(ParameterError):
            score_file(example_file, tmp_path / "o.h5ad", table=tmp_path / "t.csv", signatures=["m1"], **choices)
    assert not list(tmp_path.iterdir())


# Training on a file, from Python: parameters have the defaults of ``tl.train``.


def test_parameters_have_the_defaults_of_train(example_file, tmp_path):
    found = train_file(example_file, tmp_path / "m.npz", labels="author_label", target_accuracy=0.9)
    assert found.about["digest"] == tam.load_model(tmp_path / "m.npz").digest
    assert found.about["labels"] == "author_label"
    assert any("Fewer than 20 cells" in note for note in found.notes)
