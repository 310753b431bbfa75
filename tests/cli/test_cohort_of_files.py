"""Files given together are one cohort: learned once from all, applied to each."""

import anndata as ad
import pandas as pd
import pytest

import tamannot as tam

QUIET = pytest.mark.filterwarnings("ignore::tamannot.errors.TamannotWarning")
LABELS = ["tam_compartment", "tam_origin", "tam_state", "tam_state_status"]


@pytest.fixture(scope="module")
def tumours() -> ad.AnnData:
    """Two tumours, one ruled by a state and one without any."""
    parts = [
        tam.datasets.simulate(150, n_samples=1, conditions=("a",), n_genes=3000, states=s, rng=seed)
        for seed, s in enumerate(({"lipid_associated": 0.85}, {"lipid_associated": 0.0}))
    ]
    both = ad.concat(parts, keys=["ruled", "free"], index_unique="-")
    both.obs["tumour"] = ["ruled"] * parts[0].n_obs + ["free"] * parts[1].n_obs
    return both


@pytest.fixture
def files(tumours, tmp_path):
    """Each tumour in a file of its own."""
    paths = [tmp_path / f"{name}.h5ad" for name in ("ruled", "free")]
    for path in paths:
        tumours[tumours.obs["tumour"] == path.stem].copy().write_h5ad(path)
    return paths


@QUIET
def test_files_get_the_labels_of_one_object(tumours, files, tmp_path, run):
    out = tmp_path / "out"
    code, _, err = run("annotate", *files, "--out-dir", out, "--tissue", "brain")
    assert code == 0, err
    assert "2 files are one cohort" in err
    found = pd.concat([ad.read_h5ad(out / f.name).obs for f in files])
    together = tumours.copy()
    tam.tl.annotate(together, sample_key="tumour", tissue="brain")
    for column in LABELS:
        agree = found[column].astype(str) == together.obs[column].astype(str)
        assert agree.mean() >= 0.99, column


@QUIET
def test_each_alone_learns_for_each(tumours, files, tmp_path, run):
    out = tmp_path / "out"
    code, _, err = run("annotate", *files, "--out-dir", out, "--tissue", "brain", "--each-alone")
    assert code == 0, err
    alone = tumours[tumours.obs["tumour"] == "ruled"].copy()
    tam.tl.annotate(alone, tissue="brain")
    written = ad.read_h5ad(out / "ruled.h5ad").obs["tam_state"].astype(str)
    assert (written == alone.obs["tam_state"].astype(str)).all()
