"""Names from a file, wherever they are shown: they cannot move the cursor, hide text or forge a line."""

from __future__ import annotations

import warnings

import anndata as ad
import pytest

import tamannot as tam
from tamannot._progress import Progress
from tamannot.analysis._samples import samples_of
from tamannot.errors import (
    InputFileError,
    OutputError,
    ParameterError,
    ResultNotFoundError,
    TamannotError,
    TamannotWarning,
    printable,
)
from tamannot.io import score_file

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
EVIL = "a\x1b[2J\x1b]0;owned\x07\r\n\u202eb\x9bc"


def test_every_error_and_warning_escapes(run):
    for kind in (TamannotError, InputFileError, OutputError, ParameterError, ResultNotFoundError):
        assert str(kind(f"no {EVIL}.")) == f"no {printable(EVIL)}."
        assert printable(EVIL).isprintable()
    with pytest.warns(TamannotWarning) as caught:
        warnings.warn(f"about {EVIL}", TamannotWarning, stacklevel=1)
    assert str(caught[0].message).isprintable()


def test_what_prints_stays():
    assert printable("Müller × 'a\\b' 試料 –") == "Müller × 'a\\b' 試料 –"


@pytest.fixture
def evil(example, tmp_path):
    """The example; its columns, samples, cells, genes and layers have names that harm, and so has its file."""
    example.obs[f"column{EVIL}"] = 1.0
    example.obs[f"sample{EVIL}"] = [f"s{EVIL}", f"t{EVIL}"] * 92
    example.layers[f"layer{EVIL}"] = example.X.copy()
    example.obs_names = [f"{EVIL}{n}" for n in example.obs_names]
    names = example.var_names.tolist()
    names[:3] = [f"g{EVIL}{i}" for i in range(3)]
    example.var_names = names
    example.var[f"var{EVIL}"] = "owned"
    path = tmp_path / f"file{EVIL.replace('/', '')}.h5ad"
    example.write_h5ad(path)
    return path


def shows(out: str, err: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in out + err), out + err
    assert "\n\u202e" not in out


def test_check_and_annotate_show_no_control_characters(run, evil, tmp_path):
    code, out, err = run("check", evil)
    assert code == 0
    shows(out, err)
    code, out, err = run("annotate", evil, "--table", tmp_path / "t.csv", "--sample-key", f"sample{EVIL}")
    assert code == 0
    shows(out, err)
    assert "owned" in out
    assert all(c.isprintable() or c == "\n" for c in (tmp_path / "t.csv").read_text())


@pytest.mark.parametrize("option", ["--layer", "--gene-symbols", "--compartment-key", "--sample-key"])
def test_errors_that_list_names_show_no_control_characters(run, evil, tmp_path, option):
    code, out, err = run("annotate", evil, "-o", tmp_path / "o.h5ad", option, "absent")
    assert code == 2
    assert "owned" in err
    assert err.count("\n") == 1
    shows(out, err)


@pytest.mark.usefixtures("workers_at_once")
def test_many_files_and_progress_show_no_control_characters(run, evil, tmp_path, capsys):
    (tmp_path / "bad\x1b[31m.h5ad").write_bytes(b"x")
    code, out, err = run("annotate", evil, tmp_path / "bad\x1b[31m.h5ad", "--out-dir", tmp_path / "d")
    assert code == 2
    shows(out, err)
    progress = Progress(after=0.0)
    progress(f"stage {EVIL}")
    assert capsys.readouterr().err == f"tamannot: stage {printable(EVIL)}\n"


def test_signatures_with_harmful_names(run, tmp_path):
    path = tmp_path / "x\x1b[31m.gmt"
    path.write_text("a\t\tCD68\tCD14\n")
    for words in (("validate", path), ("list", "--signatures", path)):
        code, out, err = run("signatures", *words)
        assert code == 0
        shows(out, err)


def test_texts_that_are_no_utf8_are_names_all_the_same(tiny):
    tiny.obs["s"] = [b"\xff", b"ok"] * 6
    tiny.obs["t"] = 0
    found = samples_of(tiny, "s")
    assert found.names == ("\\xff", "ok")


def test_a_column_that_stands_twice_is_refused(tiny):
    import pandas as pd

    tiny.obs["s"] = "a"
    obs = pd.concat([tiny.obs, tiny.obs], axis=1)
    twice = ad.AnnData(tiny.X, obs=obs, var=tiny.var)
    with pytest.raises(ParameterError, match="more than one column 's'"):
        tam.tl.annotate(twice, sample_key="s")


@pytest.mark.parametrize(
    ("slot", "name"), [("layers", ".."), ("uns", ".."), ("obsm", r"a\..\..\b"), ("uns", "zarr.json")]
)
def test_names_that_are_paths_lead_nowhere(source, tmp_path, slot, name):
    """In HDF5 they are names as any other; in a zarr folder names are those of folders."""
    import h5py

    with h5py.File(source, "a") as file:
        file.copy("obs/patient" if slot == "uns" else "X", file[slot], name)
    folder = tmp_path / "deep/er"
    folder.mkdir(parents=True)
    score_file(source, folder / "out.h5ad", signatures=["state"], min_coverage=0.0)
    assert name in getattr(ad.read_h5ad(folder / "out.h5ad"), slot)
    with pytest.raises(TamannotError):
        score_file(source, folder / "out.zarr", signatures=["state"], min_coverage=0.0)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == {
        *("in.h5ad", "deep/er/out.h5ad")
    }
