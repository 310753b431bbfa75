"""``tl.regions`` and ``tl.smooth``: scores over a tissue and over a neighbour graph, both given by the user."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

import tamannot.data as slots
from tamannot.analysis._samples import Samples, samples_of
from tamannot.data import Array
from tamannot.errors import ParameterError, ResultNotFoundError, among
from tamannot.stats import _means
from tamannot.stats._correlation import spearman_by_sample

Kind = Literal["score", "z", "smooth"]

_MIN_SPOTS = 10  # a sample, or a region of one, with fewer spots is uninformative
_FEW_SAMPLES = 4


def regions(
    adata: AnnData,
    *,
    region: str | None = None,
    distance: str | None = None,
    sample_key: str | None = None,
    signatures: Sequence[str] | None = None,
    kind: Kind = "score",
    key: str = "tam",
    copy: bool = False,
) -> AnnData | None:
    """Compare scores between regions of a tissue, or along a distance, with the sample as the unit.

    You provide the position of each spot: a column with regions (such as core and margin), or with a distance (to the
    margin, to a vessel). Neither is ever inferred. A rank correlation with the distance, or a difference of means
    between regions, is computed in each sample; these are averaged over samples and tested by t, the correlations as
    Fisher z.

    Parameters
    ----------
    adata
        A scored object (`score`) with coordinates in ``obsm["spatial"]``.
    region
        Column of ``obs`` with at least two regions. Spots without a value are left out.
    distance
        Column of ``obs`` with numbers, instead of ``region``. Spots without one are left out.
    sample_key
        Column of ``obs`` with the sample; None treats all spots as one sample, which has a value but no p.
    signatures
        Ids to compare; None uses all scored signatures.
    kind
        ``"score"``, ``"z"`` or ``"smooth"`` (smoothing over neighbours blurs differences and increases correlations).
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The results are in ``uns["tamannot"]["{key}"]["regions"]`` (read them with `get.regions`).

    Raises
    ------
    ParameterError
        There are no coordinates, both or neither of ``region`` and ``distance`` are given, a column is missing, there
        are fewer than two regions, the distance is not numeric, or a signature was not scored.
    ResultNotFoundError
        Nothing was scored under ``key``.

    Notes
    -----
    Limits. The score of a spot with several cells is that of their mixture: a gradient of a state's score may reflect
    the number of macrophages, or the share of tumour. Compare it with that of ``macrophage``. Scores depend on the
    number of detected genes, so a gradient of depth produces gradients of scores. Neighbouring spots are similar, so
    spots are not replicates, and a p over spots is far too small; one sample does not represent others. A distance that
    was derived from the expression is not independent of it.

    Examples
    --------
    >>> import numpy as np
    >>> import tamannot as tam
    >>> adata = tam.datasets.simulate(100, n_samples=3, n_genes=2000)
    >>> adata.obsm["spatial"] = np.random.default_rng(0).uniform(0, 1, (adata.n_obs, 2))
    >>> adata.obs["to_margin"] = adata.obsm["spatial"][:, 0]
    >>> tam.tl.score(adata, tam.load_signatures(axis="state"))
    >>> tam.tl.regions(adata, distance="to_margin", sample_key="sample")
    >>> tam.get.regions(adata).columns.tolist()
    ['signature', 'correlation', 'low', 'high', 'p', 'q', 'n_samples', 'n_spots']
    """
    if (region is None) == (distance is None):
        raise ParameterError("Give either region= or distance=, a column of obs: positions are never inferred.")
    coordinates_of(adata)
    adata = slots.to_work_on(adata, copy=copy)
    slots.read_record(adata, key)
    scores = slots.read_table(adata, key, kind)
    wanted = scores.columns if signatures is None else [signatures] if isinstance(signatures, str) else list(signatures)
    if absent := [s for s in wanted if s not in scores]:
        raise ParameterError(f"'{absent[0]}' was not scored under the key '{key}'.{among(absent[0], scores.columns)}")
    scores = scores[wanted]
    samples = samples_of(adata, sample_key) if sample_key is not None else Samples(("all",), np.zeros(adata.n_obs, int))
    compare = _between if distance is None else _along
    tests, of_samples = compare(scores, slots.obs_column(adata, str(distance if region is None else region)), samples)
    tests.insert(list(tests.columns).index("p") + 1, "q", _means.benjamini_hochberg(tests["p"].to_numpy(float)))
    record = {
        "table": tests,
        "samples": of_samples,
        "region": region or "",
        "distance": distance or "",
        "sample_key": sample_key or "",
        "kind": kind,
        "cautions": _cautions(tests, of_samples, samples, sample_key),
    }
    slots.write_analysis(adata, key, "regions", record, of=str(region or distance))
    return adata if copy else None


def coordinates_of(adata: AnnData) -> Array:
    """Return the coordinates of each spot, shape ``(n_obs, 2)``."""
    slots.check_adata(adata)
    if "spatial" not in adata.obsm:
        have = ", ".join(map(str, adata.obsm)) or "nothing"
        raise ParameterError(
            f"No 'spatial' in obsm (available: {have}). Spatial analyses need "
            "coordinates; add them as obsm['spatial'], one row per spot."
        )
    where = np.asarray(adata.obsm["spatial"], dtype=float)
    if where.ndim != 2 or where.shape[1] not in (2, 3) or not np.isfinite(where).all():
        raise ParameterError(
            f"obsm['spatial'] has shape {where.shape}; it must have two or three finite numbers per spot."
        )
    return where[:, :2]


def _along(scores: pd.DataFrame, column: pd.Series, samples: Samples) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the correlation of each score with a distance over samples, and in each sample."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise ParameterError(f"obs['{column.name}'] is not numeric. Pass regions as region='{column.name}'.")
    distance, n_samples = column.to_numpy(dtype=float, na_value=np.nan), len(samples.names)
    own = spearman_by_sample(scores.to_numpy(float), distance, samples.codes, n_samples, at_least=_MIN_SPOTS)
    n_spots = samples.total(np.isfinite(distance).astype(float)).astype(int)
    return _tables(scores.columns, samples, _means.correlation_over_samples(own, fewest=2), own, n_spots, {})


def _between(scores: pd.DataFrame, column: pd.Series, samples: Samples) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the difference of each score between two regions, of each pair, over samples and in each sample."""
    # The regions that occur, in the order of a categorical, else sorted.
    here = sorted(column.dropna().unique(), key=str)
    if isinstance(column.dtype, pd.CategoricalDtype):
        here = [c for c in column.cat.categories if c in here]
    region = pd.Categorical(column.astype(object).where(column.notna()), here)
    names = [str(n) for n in region.categories]
    if len(names) < 2:
        raise ParameterError(f"obs['{column.name}'] has {len(names)} regions; a comparison needs two.")
    values = scores.to_numpy(float)
    means, n = _means.means_by_region(values, region.codes.astype(int), samples.codes, len(names), len(samples.names))
    pairs = []
    for first, second in combinations(range(len(names)), 2):
        enough = (n[:, first] >= _MIN_SPOTS) & (n[:, second] >= _MIN_SPOTS)
        own = np.where(enough[:, None], means[:, second] - means[:, first], np.nan)
        spots = np.where(enough, n[:, first] + n[:, second], 0)
        pair = {"region": names[second], "reference": names[first]}
        pairs.append(_tables(scores.columns, samples, _means.over_samples(own, fewest=2), own, spots, pair))
    tests, of_samples = zip(*pairs, strict=True)
    return pd.concat(tests, ignore_index=True), pd.concat(of_samples, ignore_index=True)


def _tables(
    names: pd.Index, samples: Samples, over: _means.OverSamples, own: Array, n_spots: Array, pair: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tests over samples, and the values of each sample: differences of a pair of regions, or correlations."""
    value = "difference" if pair else "correlation"
    tests = {"signature": names.astype(str), **pair, value: over.mean, "low": over.low, "high": over.high, "p": over.p}
    tests |= {"n_samples": over.n, "n_spots": (np.isfinite(own) * n_spots[:, None]).sum(axis=0)}
    of_samples = pd.DataFrame(
        {
            "sample": np.repeat(samples.names, len(names)),
            "signature": np.tile(names.astype(str), len(samples.names)),
            value: own.ravel(),
            "n_spots": np.repeat(n_spots, len(names)),
        }
    )
    of_samples = of_samples[of_samples[value].notna()].reset_index(drop=True)
    return pd.DataFrame(tests), of_samples.assign(**pair)


def _cautions(tests: pd.DataFrame, of_samples: pd.DataFrame, samples: Samples, sample_key: str | None) -> list[str]:
    mixture = "The score of a spot with several cells is that of their mixture: it depends on the number of macrophages"
    said = [f"{mixture} as well as on their state, and on the number of detected genes."]
    most = int(tests["n_samples"].max()) if len(tests) else 0
    if sample_key is None:
        said.append("No sample_key was given, so all spots count as one sample and there is no p.")
    elif most < _FEW_SAMPLES:
        said.append(f"Only {most} samples could be compared.")
    if absent := sorted(set(samples.names) - set(of_samples["sample"])):
        said.append(f"No value, because of too few spots (fewer than {_MIN_SPOTS} in a region): {', '.join(absent)}.")
    if unknown := tests.loc[tests["n_samples"] == 0, "signature"].unique().tolist():
        said.append(f"No value: {', '.join(unknown)}.")
    return said


def smooth(
    adata: AnnData,
    *,
    key: str = "tam",
    kind: Literal["score", "z"] = "score",
    neighbors_key: str = "neighbors",
    decay: float = 0.1,
    up_only: bool = False,
    copy: bool = False,
) -> AnnData | None:
    """Average scores over the nearest neighbours of each cell, like UCell's ``SmoothKNN``.

    The cell has weight 1, its nearest neighbour ``1 - decay``, the next ``(1 - decay)²``, and so on. Smoothing removes
    drop-outs, but also rare cells: a smoothed score describes the neighbourhood of a cell, and cells are no longer
    independent. The graph must exist; it is not computed here.

    Parameters
    ----------
    adata
        A scored object with a neighbour graph, such as that of ``scanpy.pp.neighbors``.
    key
        The ``key_added`` of the scores.
    kind
        ``"score"`` or ``"z"``.
    neighbors_key
        Entry of ``uns`` that names the graph.
    decay
        Between 0 (all neighbours have equal weight) and 1 (only the cell itself). Neighbours at the same distance
        share their weights.
    up_only
        Keep a cell's own score where the smoothed one is lower.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. The result is ``obsm["{key}_smooth"]``, cells × signatures, float32; read it with
    ``get.scores(adata, kind="smooth")``.

    Raises
    ------
    ParameterError
        ``decay`` is out of range, or ``kind`` is unknown.
    ResultNotFoundError
        There are no scores, or no neighbour graph.

    Notes
    -----
    Source: Andreatta & Carmona 2021, doi:10.1016/j.csbj.2021.06.043; ``SmoothKNN`` of the R package.
    """
    adata = slots.to_work_on(adata, copy=copy)
    if not 0 <= decay <= 1:
        raise ParameterError(f"decay must be between 0 and 1, not {decay}.")
    if kind not in ("score", "z"):
        raise ParameterError(f"kind must be 'score' or 'z', not {kind!r}.")
    table = slots.read_table(adata, key, kind)
    values = table.to_numpy(np.float64)
    smoothed = neighbour_weights(neighbour_distances(adata, neighbors_key), decay) @ values
    if up_only:
        smoothed = np.maximum(smoothed, values)
    slots.write_obsm(adata, slots.slot(key, "smooth"), list(table.columns), smoothed)
    how = {"kind": kind, "neighbors_key": neighbors_key, "decay": decay, "up_only": up_only}
    slots.add_to_record(adata, key, "smooth", how)
    return adata if copy else None


def neighbour_weights(distances: sp.csr_matrix, decay: float) -> sp.csr_array:
    """Return the averaging matrix of `smooth` over each cell and those with a stored distance; rows sum to 1."""
    n = distances.shape[0]
    row = np.repeat(np.arange(n), np.diff(distances.indptr))
    others = row != distances.indices
    row, column, distance = row[others], distances.indices[others], distances.data[others]
    order = np.lexsort((distance, row))
    row, column, distance = row[order], column[order], distance[order]
    place = np.arange(row.size) - np.searchsorted(row, row)
    weight = (1.0 - decay) ** (place + 1.0)
    # Neighbours at the same distance have no order: they share.
    new = np.r_[True, (np.diff(row) != 0) | (np.diff(distance) != 0)] if row.size else np.empty(0, bool)
    tie = np.cumsum(new) - 1
    weight = (np.bincount(tie, weight) / np.bincount(tie))[tie] if row.size else weight
    graph = sp.csr_array((weight, (row, column)), shape=(n, n)) + sp.eye_array(n, format="csr")
    return sp.csr_array(sp.diags_array(1.0 / graph.sum(axis=1)) @ graph)


def neighbour_distances(adata: AnnData, neighbors_key: str) -> sp.csr_matrix:
    """Return the distances of an existing graph."""
    known = adata.uns.get(neighbors_key, {})
    # Without an entry of uns there may be a graph by scanpy's usual name, but no other name stands for that one.
    usual = "distances" if neighbors_key == "neighbors" else f"{neighbors_key}_distances"
    name = known.get("distances_key", usual) if hasattr(known, "get") else usual
    if name not in adata.obsp:
        raise ResultNotFoundError(
            f"No neighbour graph under '{neighbors_key}' (obsp['{name}'] is missing). "
            "Run scanpy.pp.neighbors(adata) first, or name another graph with neighbors_key=."
        )
    return sp.csr_matrix(adata.obsp[name])
