"""``tl.regions``: how scores differ over a tissue, by regions or distances that the user gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import tamannot.data as slots
from tamannot.errors import ParameterError, among
from tamannot.stats._adjust import benjamini_hochberg
from tamannot.stats._over_samples import correlation_over_samples, mean_over_samples
from tamannot.stats._spots import means_by_region, spearman_by_sample
from tamannot.tl._samples import Samples, samples_of

Array = NDArray[Any]
Kind = Literal["score", "z", "smooth"]

RECORD = "regions"
SPATIAL = "spatial"
_MIXTURE = (
    "Where a spot holds several cells a score is that of their mixture: it follows how many macrophages there are as "
    "well as what they do, and how many genes are detected."
)
# A sample, or a region of one, with fewer spots says nothing.
MIN_SPOTS = 10
_FEW_SAMPLES = 4


@dataclass(frozen=True)
class _Found:
    """Tests over samples, and what they were made of."""

    tests: pd.DataFrame
    samples: pd.DataFrame


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

    Where a spot is comes from you: a column with regions (such as core and margin), or with a distance (to the
    margin, to a vessel). Neither is ever inferred. For a distance there is a rank correlation in each sample, for
    regions a difference of means in each sample; these are averaged over samples and tested by t, the correlations as
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
        Column of ``obs`` with the sample; None takes all for one sample, of which there is a value but no p.
    signatures
        Ids to compare; None takes all that were scored.
    kind
        ``"score"``, ``"z"`` or ``"smooth"`` (of spots averaged over neighbours a difference is blurred, and a
        correlation greater).
    key
        The ``key_added`` of the run.
    copy
        Return a copy with the results instead of writing into ``adata``.

    Returns
    -------
    None, or the copy. ``uns["tamannot"]["{key}"]["regions"]`` has what `get.regions` reads.

    Raises
    ------
    ParameterError
        There are no coordinates, both or neither of ``region`` and ``distance`` were given, there is no such column,
        fewer than two regions, a distance that is no number, or a signature that was not scored.
    ResultNotFoundError
        Nothing was scored under ``key``.

    Notes
    -----
    What it does not mean. Where a spot holds several cells a score is that of their mixture: a gradient of a state's
    score may be one of the number of macrophages, or of the share of tumour. Compare it with that of ``macrophage``.
    Scores follow how many genes are detected, so that a gradient of depth makes gradients of scores. Neighbouring
    spots are alike, so that spots are no replicates, and a p over them is far too small; one sample says nothing of
    others. A distance that you measured on the expression itself is not independent of it.

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
        msg = "Give either region= or distance=, a column of obs: where a spot is in the tissue is never inferred."
        raise ParameterError(msg)
    coordinates_of(adata)
    adata = slots.to_work_on(adata, copy=copy)
    scores = _scores(adata, key, kind, signatures)
    samples = samples_of(adata, sample_key) if sample_key is not None else Samples(("all",), np.zeros(adata.n_obs, int))
    if distance is not None:
        found = _along(scores, _distance(adata, distance), samples)
    else:
        found = _between(scores, slots.obs_column(adata, str(region)), samples)
    record = {
        "table": found.tests,
        "samples": found.samples,
        "region": region or "",
        "distance": distance or "",
        "sample_key": sample_key or "",
        "kind": kind,
        "cautions": _cautions(found, samples, sample_key),
    }
    slots.write_analysis(adata, key, RECORD, record, of=str(region or distance))
    return adata if copy else None


def coordinates_of(adata: AnnData) -> Array:
    """Return where each spot is, shape ``(n_obs, 2)``.

    Raises
    ------
    ParameterError
        There are no coordinates, or they are not two or three finite numbers a spot.
    """
    slots.check_adata(adata)
    if SPATIAL not in adata.obsm:
        have = ", ".join(map(str, adata.obsm)) or "nothing"
        msg = (
            f"No '{SPATIAL}' in obsm (there is: {have}). Nothing can be said about places in a tissue without "
            "coordinates; put them into obsm['spatial'], one row a spot."
        )
        raise ParameterError(msg)
    where = np.asarray(adata.obsm[SPATIAL], dtype=float)
    if where.ndim != 2 or where.shape[1] not in (2, 3) or not np.isfinite(where).all():
        msg = f"obsm['{SPATIAL}'] has shape {where.shape}; it must have two or three finite numbers a spot."
        raise ParameterError(msg)
    return where[:, :2]


def _scores(adata: AnnData, key: str, kind: str, signatures: Sequence[str] | None) -> pd.DataFrame:
    slots.read_record(adata, key)
    table = slots.read_table(adata, key, kind)
    if signatures is None:
        return table
    if absent := [s for s in signatures if s not in table]:
        msg = f"'{absent[0]}' was not scored under the key '{key}'.{among(absent[0], table.columns)}"
        raise ParameterError(msg)
    return table[list(signatures)]


def _distance(adata: AnnData, name: str) -> Array:
    column = slots.obs_column(adata, name)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        msg = f"obs['{name}'] holds no numbers. Give regions as region='{name}'."
        raise ParameterError(msg)
    return column.to_numpy(dtype=float, na_value=np.nan)


def _along(scores: pd.DataFrame, distance: Array, samples: Samples) -> _Found:
    n_samples = len(samples.names)
    own = spearman_by_sample(scores.to_numpy(float), distance, samples.codes, n_samples, at_least=MIN_SPOTS)
    over = correlation_over_samples(own)
    n_spots = samples.total(np.isfinite(distance).astype(float)).astype(int)
    used = np.isfinite(own)
    tests = pd.DataFrame(
        {
            "signature": scores.columns.astype(str),
            "correlation": over.mean,
            "low": over.low,
            "high": over.high,
            "p": over.p,
            "q": benjamini_hochberg(over.p),
            "n_samples": over.n_samples,
            "n_spots": (used * n_spots[:, None]).sum(axis=0),
        }
    )
    return _Found(tests, _of_samples(samples, scores.columns, own, n_spots, "correlation"))


def _between(scores: pd.DataFrame, column: pd.Series, samples: Samples) -> _Found:
    region = pd.Categorical(column.astype(object).where(column.notna()), _names_of(column))
    names = [str(n) for n in region.categories]
    if len(names) < 2:
        msg = f"obs['{column.name}'] has {len(names)} regions; it takes two to compare."
        raise ParameterError(msg)
    values = scores.to_numpy(float)
    means, n = means_by_region(values, region.codes.astype(int), samples.codes, len(names), len(samples.names))
    tests, of_samples = [], []
    for first, second in combinations(range(len(names)), 2):
        enough = (n[:, first] >= MIN_SPOTS) & (n[:, second] >= MIN_SPOTS)
        own = np.where(enough[:, None], means[:, second] - means[:, first], np.nan)
        spots = np.where(enough, n[:, first] + n[:, second], 0)
        pair = {"region": names[second], "reference": names[first]}
        tests.append(_differences(scores.columns, own, spots, pair))
        of_samples.append(_of_samples(samples, scores.columns, own, spots, "difference").assign(**pair))
    table = pd.concat(tests, ignore_index=True)
    table.insert(list(table.columns).index("p") + 1, "q", benjamini_hochberg(table["p"].to_numpy(float)))
    return _Found(table, pd.concat(of_samples, ignore_index=True))


def _names_of(column: pd.Series) -> list[Any]:
    """Return the regions that occur: in the order of a categorical, else sorted."""
    here = column.dropna().unique()
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [c for c in column.cat.categories if c in here]
    return sorted(here, key=str)


def _differences(names: pd.Index, own: Array, spots: Array, pair: dict[str, str]) -> pd.DataFrame:
    over = mean_over_samples(own)
    used = np.isfinite(own)
    return pd.DataFrame(
        {
            "signature": names.astype(str),
            **pair,
            "difference": over.mean,
            "low": over.low,
            "high": over.high,
            "p": over.p,
            "n_samples": over.n_samples,
            "n_spots": (used * spots[:, None]).sum(axis=0),
        }
    )


def _of_samples(samples: Samples, names: pd.Index, own: Array, spots: Array, value: str) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "sample": np.repeat(samples.names, len(names)),
            "signature": np.tile(names.astype(str), len(samples.names)),
            value: own.ravel(),
            "n_spots": np.repeat(spots, len(names)),
        }
    )
    return table[table[value].notna()].reset_index(drop=True)


def _cautions(found: _Found, samples: Samples, sample_key: str | None) -> list[str]:
    said = [_MIXTURE]
    most = int(found.tests["n_samples"].max()) if len(found.tests) else 0
    if sample_key is None:
        said.append("All spots were taken for one sample, since no sample_key was given: there is no p.")
    elif most < _FEW_SAMPLES:
        said.append(f"Only {most} samples could be compared.")
    if absent := sorted(set(samples.names) - set(found.samples["sample"])):
        said.append(f"No value, for too few spots (of a region, fewer than {MIN_SPOTS}): {', '.join(absent)}.")
    if unknown := found.tests.loc[found.tests["n_samples"] == 0, "signature"].unique().tolist():
        said.append(f"No value of: {', '.join(unknown)}.")
    return said
