"""Where results are in an AnnData: every slot and key that tamannot writes or reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from tamannot.data._record import LATEST, SCORED, UNS, RunRecord, variant_of
from tamannot.errors import ParameterError, ResultNotFoundError, among

KINDS = ("score", "z", "p", "smooth")
LABELS = ("compartment", "origin", "state", "label")
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


def to_work_on(adata: AnnData, *, copy: bool) -> AnnData:
    """Return the object, or a copy, with ``obs`` and ``var`` in memory; its matrices stay where they are.

    Raises
    ------
    ParameterError
        It is no AnnData.
    ResultNotFoundError
        ``uns["tamannot"]`` holds something else than records: said before anything is written.
    """
    runs_of(adata)
    target = adata.copy() if copy else adata
    for name in ("obs", "var"):
        if not isinstance(table := getattr(adata, name), pd.DataFrame):
            setattr(target, name, loaded(table))
    return target


def write_tables(adata: AnnData, key: str, ids: Sequence[str], tables: Mapping[str, Array | None]) -> None:
    """Write ``obsm["{key}_scores"]``, ``_z`` and ``_p``; those not given are removed: a group is one run."""
    for kind in KINDS:
        name, values = slot(key, _TABLES[kind]), tables.get(kind)
        if values is None:
            adata.obsm.pop(name, None)
        else:
            write_obsm(adata, name, ids, values)


def is_annotated(adata: AnnData, key: str) -> bool:
    """Say whether there are labels under a key, in the record of a run or in obs alone."""
    labelled = any(slot(key, name) in adata.obs for name in LABELS)
    return labelled or (key in runs_of(adata) and read_record(adata, key).has_calls)


def evidence_of(adata: AnnData, key: str) -> list[str]:
    """Return the signatures whose z and p the labels under a key rest on; empty where there are no such labels."""
    if not is_annotated(adata, key) or slot(key, "z") not in adata.obsm:
        return []
    added = read_record(adata, key).scored_ids
    return [str(i) for i in read_table(adata, key, "z").columns if i not in added]


def add_scores(
    adata: AnnData, key: str, ids: Sequence[str], tables: Mapping[str, Array | None], record: Mapping[str, Any]
) -> None:
    """Add scores to those of an annotation, column by column, and what they were made of to its record."""
    for kind in ("score", "z", "p"):
        name, values = slot(key, _TABLES[kind]), tables.get(kind)
        if values is None:
            continue
        new = pd.DataFrame(values, index=adata.obs_names, columns=list(ids))
        old = pd.DataFrame(adata.obsm[name]) if name in adata.obsm else new.iloc[:, :0]
        both = pd.concat([old[[c for c in old if c not in new]], new], axis=1)
        order = [*old.columns, *(c for c in new if c not in old)]
        write_obsm(adata, name, order, both[order].to_numpy())
    adata.obsm.pop(slot(key, _TABLES["smooth"]), None)  # of the scores before
    stored = read_record(adata, key).stored
    method, matrix = record["method"]["name"], record["matrix"]["name"]
    new_rows = {
        "signatures": record["signatures"].assign(method=method, matrix=matrix),
        "coverage": record["coverage"],
    }
    earlier = stored.get(SCORED, {})
    rows = {
        name: pd.concat([t[~t.index.isin(ids)] for t in (earlier.get(name),) if t is not None] + [table])
        for name, table in new_rows.items()
    }
    kept = {name: value for name, value in stored.items() if name != "smooth"}
    write_record(adata, key, {**kept, SCORED: {**rows, "warnings": record["warnings"]}})


def write_obsm(adata: AnnData, name: str, columns: Sequence[str], values: Array) -> None:
    """Write a table, cells by columns, float32."""
    table = pd.DataFrame(values.astype(np.float32, copy=False), index=adata.obs_names, columns=list(columns))
    adata.obsm[name] = table


def write_obs(adata: AnnData, key: str, columns: Mapping[str, Any]) -> None:
    """Write columns of obs, each named ``{key}_{name}``."""
    for name, values in columns.items():
        adata.obs[slot(key, name)] = values


def write_record(adata: AnnData, key: str, record: Mapping[str, Any]) -> None:
    """Write the record of a run, replacing that of an earlier one under the same key."""
    adata.uns[UNS] = {**runs_of(adata), key: dict(record)}


def add_to_record(adata: AnnData, key: str, section: str, value: Mapping[str, Any]) -> None:
    """Write one section of the record of a run; also where the record itself was lost, as in concatenating."""
    stored = read_record(adata, key).stored
    write_record(adata, key, {**stored, section: dict(value)})


def write_analysis(
    adata: AnnData, key: str, name: str, record: Mapping[str, Any], *, of: str | list[str] | None = None
) -> None:
    """Write the result of an analysis beside the run it was made from; annotating again removes it.

    Lists of texts, as its cautions, become arrays: files know no lists.

    Parameters
    ----------
    adata
        Changed in place.
    key, name
        The ``key_added`` of the run, and the analysis.
    record
        Its tables and parameters.
    of
        What it is of, such as the axis: results of several stand side by side. None: there is one result.

    Raises
    ------
    ResultNotFoundError
        There is no such run.
    """
    run = read_record(adata, key)
    new = _storable(record)
    if of is not None:
        variant = variant_of(of)
        new = {k: v for k, v in run.variants(name).items() if k != variant} | {variant: new}
        add_to_record(adata, key, LATEST, {**run.latest, name: variant})
    add_to_record(adata, key, name, new)


def _storable(record: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            kept[name] = _storable(value)
        else:
            kept[name] = np.array(list(value), dtype=object) if isinstance(value, list | tuple) else value
    return kept


def read_analysis(
    adata: AnnData, key: str, name: str, *, of: str | list[str] | None = None, call: str
) -> dict[str, Any]:
    """Return the result of an analysis: the one asked for, or the latest.

    Raises
    ------
    ResultNotFoundError
        There is no such run, or it has not been analysed so.
    """
    run = read_record(adata, key)
    if not run.has(name):
        msg = f"No '{name}' among the results under the key '{key}'. Run tamannot.{call} first."
        raise ResultNotFoundError(msg)
    found = run.analyses(name)
    chosen = next(reversed(found), "") if of is None else variant_of(of)
    if chosen not in found:
        msg = f"No '{name}' of '{chosen}' under the key '{key}'. There is: {', '.join(found) or 'none'}."
        raise ResultNotFoundError(msg)
    return found[chosen]


def write_colors(adata: AnnData, key: str, colors: Mapping[str, Sequence[str]]) -> None:
    """Write the colours of categorical columns where scanpy looks for them."""
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


def read_record(adata: AnnData, key: str) -> RunRecord:
    """Return the record of the run that wrote under a key; empty where there are labels, and the record was lost.

    Raises
    ------
    ResultNotFoundError
        There was no run, or its record is none.
    """
    runs = runs_of(adata)
    stored = runs.get(key)
    if stored is None:
        if any(slot(key, name) in adata.obs for name in LABELS):
            return RunRecord(key, {}, f"obs has its labels, and uns['{UNS}'] does not.")
        have = f" There is: {', '.join(map(str, runs))}." if runs else ""
        msg = f"No results under the key '{key}'.{have} Run tamannot.tl.annotate(adata) first."
        raise ResultNotFoundError(msg)
    if not isinstance(stored, Mapping):
        msg = (
            f"uns['{UNS}']['{key}'] should hold the record of a run and holds a {type(stored).__name__}. "
            "Run tamannot.tl.annotate(adata) again."
        )
        raise ResultNotFoundError(msg)
    if (n_obs := _n_obs_of_run(stored)) is not None and n_obs < adata.n_obs:
        # anndata.concat keeps the record of the first object, or what all have in common.
        of = f"of a run of {n_obs:,} cells" if n_obs >= 0 else "mixed of several runs"
        return RunRecord(key, {}, f"the record in uns is {of}, and the object has {adata.n_obs:,}.")
    return RunRecord(key, stored)


def _n_obs_of_run(stored: Mapping[str, Any]) -> int | None:
    """Return how many cells a record is of; -1 of a mixture of records, None where it names no matrix."""
    matrix = stored.get("matrix")
    if matrix is None:
        return None
    n_obs = matrix.get("n_obs", -1) if isinstance(matrix, Mapping) else None
    return int(n_obs) if isinstance(n_obs, int | np.integer) else None


def runs_of(adata: AnnData) -> Mapping[str, Any]:
    """Return the records of all runs by key.

    Raises
    ------
    ResultNotFoundError
        ``uns["tamannot"]`` holds something else.
    """
    check_adata(adata)
    runs = adata.uns.get(UNS, {})
    if not isinstance(runs, Mapping):
        msg = (
            f"uns['{UNS}'] holds a {type(runs).__name__} that is not of tamannot, which keeps its records there. Give "
            f"it another name first: adata.uns['mine'] = adata.uns.pop('{UNS}')."
        )
        raise ResultNotFoundError(msg)
    return runs


def loaded(table: Any) -> pd.DataFrame:
    """Return ``obs`` or ``var`` as a table in memory; the same if it is."""
    if isinstance(table, pd.DataFrame):
        return table
    name = table.index.name  # anndata 0.12.2 to 0.12.10 loses it, here and in the table itself
    return table.to_memory().rename_axis(index=name)


def check_adata(adata: object) -> None:
    """Refuse what is no AnnData.

    Raises
    ------
    ParameterError
        It is a path, a table, a container of several AnnData or something else; the message says what to give.
    """
    if not isinstance(adata, AnnData):
        msg = f"An AnnData is needed here, not {_what_it_is(adata)}"
        raise ParameterError(msg)


def _what_it_is(given: object) -> str:
    """Say what was given instead of an AnnData, and how to come by one."""
    if isinstance(given, str | os.PathLike):
        read = "read_zarr" if str(given).rstrip("/").endswith(".zarr") else "read_h5ad"
        line = f"anndata.{read}({os.fspath(given)!r})"
        return f"the path of a file. Read it first, {line}, or annotate the file itself with tamannot.annotate_file."
    name = type(given).__name__
    for parts, call in (("mod", "mdata.mod"), ("tables", "sdata.tables")):  # MuData, SpatialData
        inside = getattr(given, parts, None)
        if isinstance(inside, Mapping):
            return f"a {name}. Give one of its objects: {', '.join(f'{call}[{key!r}]' for key in inside) or 'none'}."
    if hasattr(given, "shape"):
        return f"a {name}. Make one of cells × genes first: anndata.AnnData(table), with the gene names in var_names."
    if isinstance(given, list | tuple | dict):
        return f"a {name}. Give one object at a time, or join them first: anndata.concat(…)."
    return f"{'None' if given is None else f'an object of type {name}'}."
