"""``tl.ligand_receptor``: pairs of the reviews within each sample, by liana."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis import _samples
from tamannot.analysis._samples import MALIGNANT, Malignant, Samples
from tamannot.classify import MACROPHAGE
from tamannot.data import Array
from tamannot.errors import GeneIdError, ParameterError, TamannotError
from tamannot.signature import GeneIndex
from tamannot.stats._correlation import FEWEST, spearman, supports_q
from tamannot.stats._means import benjamini_hochberg

_ENDS = ["ligand", "receptor", "source", "target"]
_DETECTED = 0.1
# What liana calls the columns that are kept.
_MEASURED = {
    "lr_means": "score",
    "ligand_means": "ligand_mean",
    "receptor_means": "receptor_mean",
    "ligand_props": "ligand_share",
    "receptor_props": "receptor_share",
}


def ligand_receptor(
    adata: AnnData,
    sample_key: str,
    *,
    malignant: Malignant,
    against: str | None = None,
    min_cells: int = 10,
    rng: int = 0,
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Score the ligand–receptor pairs of the reviews between macrophages and other cells, within each sample.

    Uses liana's CellPhoneDB score, the mean of the ligand's and the receptor's mean log expression (for a complex, its
    least expressed part), for the pairs and directions in two reviews of macrophages in brain tumours. There is no p
    within a sample, because permuting cells would treat them as replicates. With ``against``, the scores of samples are
    correlated with a property of samples, and p is from permutations of samples.

    Parameters
    ----------
    adata
        An annotated object, human, with the matrix that was annotated.
    sample_key
        Column of ``obs`` with the sample.
    malignant
        Which cells are malignant, as in `crosstalk`. All others use ``obs["tam_compartment"]``.
    against
        A column of ``obs`` with one number, or one of two categories, per sample; or a column of
        ``get.crosstalk(adata, kind="samples")``, such as ``"malignant_ferroptosis_defence"``.
    min_cells
        Minimum number of cells of the source and of the target in a sample.
    rng
        Seed of the permutations.
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"][key]["ligand_receptor"]``: ``samples``, one row per pair
    and sample with ``score``, ``ligand_mean``, ``receptor_mean``, ``ligand_share`` and ``receptor_share`` (of cells
    with it); ``pairs``, one row per pair with its claim and reference, ``named`` (which partners the reference names),
    ``median`` over samples, ``n_samples``, ``n_detected`` (samples where both are in a tenth of the cells), and with
    ``against`` ``rho``, ``p``, ``q``; ``cautions``; ``parameters``. Transcripts of a ligand and of a receptor do not
    show contact or signalling; a ligand found in both cell types may be ambient.

    Raises
    ------
    TamannotError
        liana is not installed, or the data are not human.
    ParameterError
        ``malignant`` is missing or incomplete, a column is missing, or no sample has enough cells.
    ResultNotFoundError
        The object is not annotated, or its matrix is missing.
    """
    adata = slots.to_work_on(adata, copy=copy)
    liana, resource = load_liana(), pairs_of_reviews()
    samples, chosen = _samples.samples_of(adata, sample_key), _samples.malignant_cells(adata, malignant)
    property_of, run = None, slots.read_record(adata, key)
    if against is not None:
        values = run.analyses("crosstalk")["all"]["samples"] if run.has("crosstalk") else pd.DataFrame()
        if against in values:
            property_of = values[against].astype(float)
        elif against.startswith("malignant_") and against not in adata.obs:
            raise ParameterError(
                f"'{against}' must be a value of tl.crosstalk, which was not run or has no such value. Run it first."
            )
        else:
            column = _samples.table_of_samples(adata, samples, [against])[against]
            property_of = _samples.numbers_of(column, f"obs['{against}']", fewest_words=2)
    groups = np.where(chosen, MALIGNANT, slots.labels_of(adata, key, "compartment"))
    wanted = np.isin(groups, list({*resource["source"], *resource["target"]})) & (samples.codes >= 0)
    cells = _expression(adata, key, wanted, resource)
    cells.obs["group"] = pd.Categorical([*groups[wanted], ""])
    found = _by_sample(liana, cells, samples.codes[wanted], samples, resource, min_cells)
    pairs = _pairs(resource, found, property_of, rng)
    record = {
        "samples": found,
        "pairs": pairs,
        "cautions": _cautions(pairs, against),
        "parameters": {
            "sample_key": sample_key,
            "malignant": _samples.malignant_as_text(malignant),
            "against": against or "",
            "min_cells": min_cells,
            "rng": rng,
        },
    }
    slots.write_analysis(adata, key, "ligand_receptor", record)
    return adata if copy else None


@cache
def pairs_of_reviews() -> pd.DataFrame:
    """Return ligand, receptor (parts of a complex joined by ``_``), source, target, claim and reference."""
    with files("tamannot.analysis").joinpath("ligand_receptor.tsv").open(encoding="utf-8") as file:
        return pd.read_csv(file, sep="\t")


def load_liana() -> Any:
    """Return liana."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what liana imports
            return importlib.import_module("liana")
    except ImportError as error:
        raise TamannotError("Ligand–receptor pairs need liana:  pip install 'tamannot[crosstalk]'") from error


def _expression(adata: AnnData, key: str, cells: Array, resource: pd.DataFrame) -> AnnData:
    """Return cells by genes of the pairs: log1p of counts per 10,000; the last cell and gene are only 1."""
    record = slots.read_record(adata, key)
    if record.matrix.species == "mouse":
        raise TamannotError("The pairs are human genes and cannot be used with mouse data.")
    matrix = slots.matrix_of_run(adata, record)
    index = GeneIndex([str(i) for i in matrix.ids], species="human")
    genes = sorted({part for name in (*resource["ligand"], *resource["receptor"]) for part in name.split("_")})
    columns = {gene: column for gene in genes if (column := index.locate(gene)) >= 0}
    if not columns:
        raise GeneIdError(f"None of the genes of the pairs is in the matrix '{matrix.name}' of the run.")
    blocks = [values for _, values in _samples.some_genes(matrix, list(columns.values()), cells)]
    # liana would remove genes and cells that are 0 throughout a sample, although these zeros belong to the means.
    values = np.pad(np.concatenate(blocks).astype(np.float32), (0, 1), constant_values=1)
    return AnnData(values, var=pd.DataFrame(index=[*columns, "of every cell"]))


def _by_sample(
    liana: Any, cells: AnnData, codes: Array, samples: Samples, resource: pd.DataFrame, min_cells: int
) -> pd.DataFrame:
    """Return the scores of every pair in every sample that has the cells."""
    tables, genes = [], set(cells.var_names)
    known = (resource["ligand"] + "_" + resource["receptor"]).map(lambda pair: set(pair.split("_")) <= genes)
    for i, name in enumerate(samples.names):
        here = cells[[*(codes == i), True]].copy()
        n = here.obs["group"].value_counts()
        enough = known & resource["source"].map(n).ge(min_cells) & resource["target"].map(n).ge(min_cells)
        if not enough.any():
            continue
        asked = resource[enough]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # liana's
            found = liana.mt.cellphonedb(
                here,
                groupby="group",
                resource=asked[["ligand", "receptor"]].drop_duplicates(),
                groupby_pairs=asked[["source", "target"]].drop_duplicates(),
                expr_prop=0,
                min_cells=min_cells,
                use_raw=False,
                n_perms=None,  # permuting cells would take them for replicates
                inplace=False,
            )
        found = found.assign(ligand=found["ligand_complex"], receptor=found["receptor_complex"])
        found = found.rename(columns=_MEASURED).astype(dict.fromkeys(_ENDS, str))
        tables.append(asked[_ENDS].merge(found[[*_ENDS, *_MEASURED.values()]], on=_ENDS).assign(sample=name))
    if not tables:
        raise ParameterError(
            f"No sample has {min_cells} cells of both sides of any pair with genes in the data, of {MACROPHAGE} and "
            f"{MALIGNANT} for example. Lower min_cells, or add samples with both."
        )
    return pd.concat(tables, ignore_index=True)


def _pairs(resource: pd.DataFrame, found: pd.DataFrame, property_of: pd.Series | None, seed: int) -> pd.DataFrame:
    """Return one row per pair: its values in the samples, and their correlation with a property of samples."""
    rows = []
    for ends in resource[_ENDS].itertuples(index=False):
        mine = found[(found[_ENDS] == list(ends)).all(axis=1)]
        both = (mine[["ligand_share", "receptor_share"]] >= _DETECTED).all(axis=1)
        row = {"median": float(mine["score"].median()), "n_samples": len(mine), "n_detected": int(both.sum())}
        if property_of is not None:
            x, y = mine["score"].to_numpy(float), property_of.reindex(mine["sample"]).to_numpy(float)
            known = np.isfinite(x) & np.isfinite(y)
            row |= {"rho": np.nan, "p": np.nan, "n_tested": int(known.sum())}
            if row["n_tested"] >= FEWEST:
                association = spearman(x[known], y[known], rng=seed)
                row |= {"rho": association.rho, "p": association.p}
        rows.append(row)
    pairs = resource.join(pd.DataFrame(rows))
    pairs.index = pd.Index([f"{r.ligand} {r.receptor} {r.source} {r.target}" for r in pairs.itertuples()], name="pair")
    if property_of is not None:
        tested = pairs["p"].notna()
        n = int(pairs.loc[tested, "n_tested"].min()) if tested.any() else 0
        pairs["q"] = benjamini_hochberg(pairs["p"].to_numpy(float)) if supports_q(n, int(tested.sum())) else np.nan
    return pairs


def _cautions(pairs: pd.DataFrame, against: str | None) -> list[str]:
    contact = "Transcripts of a ligand and of its receptor in one sample do not show contact or signalling"
    said = [f"{contact}; ambient RNA of an abundant cell type is found in all others."]
    if (pairs["named"] != "both").any():
        said.append(
            "Where 'named' is not 'both', the reference does not name the receptor or the pair and documents common "
            "use only."
        )
    if (n := int((pairs["n_samples"] == 0).sum())) > 0:
        said.append(f"{n} of {len(pairs)} pairs could not be measured in any sample: a gene or a cell type is missing.")
    if against is not None and pairs["q"].isna().all():
        said.append("No q: there are too few samples for so many pairs.")
    return said
