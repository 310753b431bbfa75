"""Where results are in an AnnData: every slot and key that tamannot writes or reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, ImplicitModificationWarning
from numpy.typing import NDArray

from tamannot._adata._lazy import check_adata
from tamannot._printable import among
from tamannot.errors import ParameterError, ResultNotFoundError

UNS = "tamannot"
KINDS = ("score", "z", "p", "smooth")
_VOTE = "vote"
_TABLES = {"score": "scores", "z": "z", "p": "p", "smooth": "smooth"}

Array = NDArray[Any]


def slot(key: str, name: str) -> str:
    """Return the key of a result: ``tam_state`` for ``state``."""
    return f"{key}_{name}"


def check_key(key: str) -> str:
    """Return the key if results can be stored under it.

    Raises
    ------
    ParameterError
        It is empty or would open a group in an HDF5 file.
    """
    if not key or "/" in key:
        msg = f"key_added must be a name without '/', not {key!r}."
        raise ParameterError(msg)
    return key


def write_tables(adata: AnnData, key: str, ids: Sequence[str], tables: Mapping[str, Array | None]) -> None:
    """Write ``obsm["{key}_scores"]``, ``_z`` and ``_p``; those not given are removed: a group is one run."""
    for kind in KINDS:
        name, values = slot(key, _TABLES[kind]), tables.get(kind)
        if values is None:
            adata.obsm.pop(name, None)
        else:
            write_obsm(adata, name, ids, values)


def write_obsm(adata: AnnData, name: str, columns: Sequence[str], values: Array) -> None:
    """Write a table, cells by columns, float32."""
    with _on_views():
        adata.obsm[name] = pd.DataFrame(
            values.astype(np.float32, copy=False), index=adata.obs_names, columns=list(columns)
        )


def write_obs(adata: AnnData, key: str, columns: Mapping[str, Any]) -> None:
    """Write columns of obs, each named ``{key}_{name}``."""
    with _on_views():
        for name, values in columns.items():
            adata.obs[slot(key, name)] = values


def drop_obs(adata: AnnData, key: str, names: Sequence[str]) -> None:
    """Remove columns of obs that an earlier run wrote, and their colours."""
    old = [slot(key, n) for n in names if slot(key, n) in adata.obs]
    if not old:
        return
    with _on_views():
        adata.obs = adata.obs.drop(columns=old)
        for name in old:
            adata.uns.pop(f"{name}_colors", None)


def write_provenance(adata: AnnData, key: str, record: Mapping[str, Any]) -> None:
    """Write the record of a run, replacing that of an earlier one under the same key."""
    with _on_views():
        runs = dict(adata.uns.get(UNS, {}))
        runs[key] = dict(record)
        adata.uns[UNS] = runs


def write_vote_record(adata: AnnData, key: str, record: Mapping[str, Any]) -> None:
    """Write how the calls of a run were voted on; also where the run's own record was lost, as in concatenating."""
    write_provenance(adata, key, {**adata.uns.get(UNS, {}).get(key, {}), _VOTE: dict(record)})


def write_analysis(adata: AnnData, key: str, name: str, record: Mapping[str, Any]) -> None:
    """Write the result of an analysis beside the run it was made from; annotating again removes it.

    Lists of texts, as its cautions, become arrays: files know no lists.

    Raises
    ------
    ResultNotFoundError
        There is no such run.
    """
    write_provenance(adata, key, {**read_provenance(adata, key), name: _storable(record)})


def _storable(record: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            kept[name] = _storable(value)
        else:
            kept[name] = np.array(list(value), dtype=object) if isinstance(value, list | tuple) else value
    return kept


def read_analysis(adata: AnnData, key: str, name: str, *, call: str) -> dict[str, Any]:
    """Return the result of an analysis.

    Raises
    ------
    ResultNotFoundError
        There is no such run, or it has not been analysed so.
    """
    run = read_provenance(adata, key)
    if name not in run:
        msg = f"No '{name}' among the results under the key '{key}'. Run tamannot.{call} first."
        raise ResultNotFoundError(msg)
    return dict(run[name])


def write_colors(adata: AnnData, key: str, colors: Mapping[str, Sequence[str]]) -> None:
    """Write the colours of categorical columns where scanpy looks for them."""
    with _on_views():
        for name, values in colors.items():
            adata.uns[f"{slot(key, name)}_colors"] = np.array(list(values), dtype=object)


def read_colors(adata: AnnData, key: str, name: str) -> list[str]:
    """Return the colours of a categorical column, empty if there are none."""
    return [str(c) for c in adata.uns.get(f"{slot(key, name)}_colors", [])]


def read_table(adata: AnnData, key: str, kind: str) -> pd.DataFrame:
    """Return a table of scores, z or p.

    Raises
    ------
    ParameterError
        There is no such kind.
    ResultNotFoundError
        It has not been computed.
    """
    if kind not in KINDS:
        msg = f"kind is one of score, z, p, q, smooth, not {kind!r}."
        raise ParameterError(msg)
    return read_obsm(adata, slot(key, _TABLES[kind]))


def read_obsm(adata: AnnData, name: str) -> pd.DataFrame:
    """Return a table that tamannot wrote.

    Raises
    ------
    ResultNotFoundError
        It has not been computed.
    """
    check_adata(adata)
    if name not in adata.obsm:
        msg = f"No '{name}' in obsm. Run tamannot.tl.annotate(adata) or tamannot.tl.score(adata, …) first."
        raise ResultNotFoundError(msg)
    return pd.DataFrame(adata.obsm[name])


def read_obs(adata: AnnData, key: str, names: Sequence[str]) -> pd.DataFrame:
    """Return columns that tamannot wrote into obs, those that are there.

    Raises
    ------
    ResultNotFoundError
        None of them is.
    """
    check_adata(adata)
    have = [slot(key, n) for n in names if slot(key, n) in adata.obs]
    if not have:
        msg = f"No '{slot(key, names[0])}' in obs. Run tamannot.tl.annotate(adata) first."
        raise ResultNotFoundError(msg)
    return pd.DataFrame(adata.obs[have])


def obs_column(adata: AnnData, name: str) -> pd.Series:
    """Return a column of ``obs``.

    Raises
    ------
    ParameterError
        There is none of that name, or more than one.
    """
    check_adata(adata)
    if name not in adata.obs:
        msg = f"No column '{name}' in obs.{among(str(name), adata.obs.columns)}"
        raise ParameterError(msg)
    column = adata.obs[name]
    if isinstance(column, pd.DataFrame):
        msg = f"obs has more than one column '{name}'. Give each a name of its own."
        raise ParameterError(msg)
    return pd.Series(column)


def texts_of(column: pd.Series | pd.Index) -> list[str]:
    """Return names as texts; bytes that are no UTF-8, which other languages store, with escapes for those that are not.

    Missing values are the texts that pandas makes of them, as ``nan``.
    """
    texts = column.tolist()
    if set(map(type, texts)) <= {str}:
        return texts
    try:
        return list(map(str, column.astype(str).tolist()))
    except (UnicodeError, TypeError):
        return [v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else str(v) for v in column.tolist()]


def read_provenance(adata: AnnData, key: str) -> dict[str, Any]:
    """Return the record of the run that wrote under a key.

    Raises
    ------
    ResultNotFoundError
        There was none.
    """
    check_adata(adata)
    runs = {name: run for name, run in adata.uns.get(UNS, {}).items() if set(run) - {_VOTE}}  # a vote is no run
    if key not in runs:
        have = f" There is: {', '.join(runs)}." if runs else ""
        msg = f"No results under the key '{key}'.{have} Run tamannot.tl.annotate(adata) first."
        raise ResultNotFoundError(msg)
    return dict(runs[key])


class _on_views(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Writing into a view makes it a copy, as everywhere in scanpy; anndata's warning of it is not ours."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", ImplicitModificationWarning)
