"""The runs of an AnnData: the record of each in ``uns``, its columns and tables, and the results of analyses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from tamannot._resources import package_version
from tamannot.data._record import LATEST, SCORED, UNS, RunRecord, variant_of
from tamannot.data._sections import ScoredRecord
from tamannot.data._slots import LABELS, TABLES, check_adata, loaded, read_table, slot, write_obsm
from tamannot.data._unpack import Unpacked
from tamannot.errors import ParameterError, ResultNotFoundError, TamannotWarning, some_of, tell
from tamannot.scoring import Method, Plan
from tamannot.scoring._njit import Array
from tamannot.signature import GeneIndex


def _of_call(name: str) -> tuple[str, ...]:
    return tuple(f"{name}{what}" for what in ("", "_prob", "_status", "_vote", "_vote_share"))


# What each step of an annotation writes into obs and obsm.
SLOTS_OF_STEP: dict[str, tuple[str, ...]] = {
    "compartment": (*_of_call("compartment"), "cell_ontology_term_id"),
    "origin": (*_of_call("origin"), "origin_proba", "cell_ontology_term_id"),
    "state": (*_of_call("state"), "programs", "mixed_lineage", "dual_m1_m2", "state_proba"),
    "ferroptosis": ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance", "ferroptosis"),
}
_OF_MODEL = ("label", "prob", "status", "proba")
_SLOTS = frozenset((*TABLES.values(), *_OF_MODEL, *(name for names in SLOTS_OF_STEP.values() for name in names)))


def to_work_on(adata: AnnData, *, copy: bool) -> AnnData:
    """Return the object, or a copy, with ``obs`` and ``var`` in memory; its matrices stay where they are."""
    runs_of(adata)
    if adata.isbacked and (copy or adata.is_view):  # anndata cannot copy it, or would after all the work
        what = "a view" if adata.is_view else "a copy"
        raise ParameterError(
            f"The object is backed by {adata.filename}, and {what} of it cannot take results. Load it first, "
            "adata.to_memory(), or annotate the file itself with tamannot.annotate_file."
        )
    target = adata.copy() if copy else adata
    for name in ("obs", "var"):
        if not isinstance(table := getattr(adata, name), pd.DataFrame):
            setattr(target, name, loaded(table))
    return target


def runs_of(adata: AnnData) -> Mapping[str, Any]:
    """Return the records of all runs by key."""
    check_adata(adata)
    runs = adata.uns.get(UNS, {})
    if not isinstance(runs, Mapping):
        raise ResultNotFoundError(
            f"uns['{UNS}'] holds a {type(runs).__name__} that tamannot did not write, and tamannot keeps its records "
            f"there. Rename it first: adata.uns['mine'] = adata.uns.pop('{UNS}')."
        )
    return runs


def read_record(adata: AnnData, key: str) -> RunRecord:
    """Return the record of the run that wrote under a key; empty where there are labels, and the record was lost."""
    runs = runs_of(adata)
    stored = runs.get(key)
    if stored is None:
        if any(slot(key, name) in adata.obs for name in LABELS):
            return RunRecord(key, {}, f"obs has its labels, but uns['{UNS}'] has no record of it.")
        have = f" Available keys: {', '.join(map(str, runs))}." if runs else ""
        raise ResultNotFoundError(f"No results under the key '{key}'.{have} Run tamannot.tl.annotate(adata) first.")
    if not isinstance(stored, Mapping):
        raise ResultNotFoundError(
            f"uns['{UNS}']['{key}'] should be the record of a run, but is a {type(stored).__name__}. "
            "Run tamannot.tl.annotate(adata) again."
        )
    matrix = stored.get("matrix")
    n_obs = matrix.get("n_obs", -1) if isinstance(matrix, Mapping) else None
    if isinstance(n_obs, int | np.integer) and n_obs < adata.n_obs:
        # anndata.concat keeps the record of the first object, or what all have in common.
        of = f"of a run of {n_obs:,} cells" if n_obs >= 0 else "mixed of several runs"
        return RunRecord(key, {}, f"the record in uns is {of}, and the object has {adata.n_obs:,}.")
    return RunRecord(key, stored)


def write_record(adata: AnnData, key: str, record: Mapping[str, Any]) -> None:
    """Write the record of a run, replacing that of an earlier one under the same key."""
    adata.uns[UNS] = {**runs_of(adata), key: dict(record)}


def add_to_record(adata: AnnData, key: str, section: str, value: Mapping[str, Any]) -> None:
    """Write one section of the record of a run; also where the record itself was lost, as in concatenating."""
    write_record(adata, key, {**read_record(adata, key).stored, section: dict(value)})


def is_annotated(adata: AnnData, key: str) -> bool:
    """Return whether there are labels under a key, in the record of a run or in obs alone."""
    labelled = any(slot(key, name) in adata.obs for name in LABELS)
    return labelled or (key in runs_of(adata) and read_record(adata, key).has_calls)


def evidence_of(adata: AnnData, key: str) -> list[str]:
    """Return the signatures whose z and p the labels under a key rest on; empty where there are no such labels."""
    if not is_annotated(adata, key) or slot(key, "z") not in adata.obsm:
        return []
    run, ids = read_record(adata, key), read_table(adata, key, "z").columns
    if not run.has(SCORED):
        return list(map(str, ids))
    own: Collection[str] = run.own_signatures.index if run.has("signatures") else []
    added = run.read(SCORED, ScoredRecord).signatures.index
    return [str(i) for i in ids if i in own or i not in added]


def add_scores(
    adata: AnnData, key: str, ids: Sequence[str], tables: Mapping[str, Array | None], record: Mapping[str, Any]
) -> None:
    """Add scores to those of an annotation, column by column, and what they were made of to its record."""
    for kind in ("score", "z", "p"):
        name, values = slot(key, TABLES[kind]), tables.get(kind)
        if values is None:
            continue
        table = pd.DataFrame(adata.obsm.get(name), index=adata.obs_names)
        table = table.reindex(columns=[*table.columns, *(i for i in ids if i not in table)])
        table[list(ids)] = values
        write_obsm(adata, name, table.columns.tolist(), table.to_numpy())
    adata.obsm.pop(slot(key, TABLES["smooth"]), None)  # of the scores before
    kept = {name: value for name, value in read_record(adata, key).stored.items() if name != "smooth"}
    about = record["signatures"].assign(method=record["method"]["name"], matrix=record["matrix"]["name"])
    added = {"signatures": about, "coverage": record["coverage"]}
    for name, earlier in kept.get(SCORED, {}).items():
        if name in added:
            added[name] = pd.concat([earlier[~earlier.index.isin(ids)], added[name]])
    write_record(adata, key, {**kept, SCORED: {**added, "warnings": record["warnings"]}})


def write_analysis(
    adata: AnnData, key: str, name: str, record: Mapping[str, Any], *, of: str | list[str] | None = None
) -> None:
    """Write the result of an analysis to the record of its run; annotating again removes it.

    Lists of texts, as its cautions, become arrays: files know no lists. Results ``of`` several things, such as axes,
    stand side by side.
    """
    run = read_record(adata, key)
    new: Any = _storable({**record, "n_cells": adata.n_obs})
    if of is not None:
        variant = variant_of(of)
        new = {k: v for k, v in run.variants(name).items() if k != variant} | {variant: new}
        add_to_record(adata, key, LATEST, {**run.latest, name: variant})
    add_to_record(adata, key, name, new)


def _storable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _storable(one) for name, one in value.items()}
    return np.array(list(value), dtype=object) if isinstance(value, list | tuple) else value


def other_n_cells(record: Mapping[str, Any], n_obs: int) -> str:
    """Return of how many cells an analysis is, if the object now has another number of them; else an empty text."""
    n = str(record.get("n_cells", n_obs))
    return n if n != str(n_obs) else ""


def read_analysis(
    adata: AnnData, key: str, name: str, *, of: str | list[str] | None = None, call: str
) -> dict[str, Any]:
    """Return the result of an analysis: the requested one, or the latest."""
    run = read_record(adata, key)
    if not run.has(name):
        raise ResultNotFoundError(f"There are no results '{name}' under the key '{key}'. Run tamannot.{call} first.")
    found = run.analyses(name)
    chosen = next(reversed(found), "") if of is None else variant_of(of)
    if chosen not in found:
        raise ResultNotFoundError(
            f"There are no results '{name}' of '{chosen}' under the key '{key}'. Available: "
            f"{', '.join(found) or 'none'}."
        )
    if n := other_n_cells(found[chosen], adata.n_obs):
        now = f"the object now has {adata.n_obs}. Run tamannot.{call} again."
        tell({f"The results '{name}' are of {n} cells, but {now}": TamannotWarning})
    return found[chosen]


@dataclass(frozen=True)
class RunNames:
    """The names of obs, obsm and uns that belong to a run."""

    key: str
    others: tuple[str, ...] = ()  # keys of other runs whose names begin in the same way: tam_v2 beside tam
    also: tuple[str, ...] = ()  # keys of runs that were made together with it: tam_model, the labels of a model

    def owns(self, name: str) -> bool:
        """Whether a name begins with the key, and not with that of another run."""
        return name.startswith(slot(self.key, "")) and not name.startswith(tuple(slot(k, "") for k in self.others))

    def wrote(self, name: str, slots: Collection[str] = _SLOTS) -> bool:
        """Whether a name is one that runs write, with its colours: others under the same prefix are the user's."""
        plain = name.removesuffix("_colors")
        return self.owns(name) and any(plain == slot(k, s) for k in (self.key, *self.also) for s in slots)

    def fresh(self, had: Collection[str], have: Iterable[str]) -> list[str]:
        """Return the names to be written: what the run wrote, and what the source had not."""
        return [n for n in have if self.owns(n) and (self.wrote(n) or n not in had)]

    def dropped(self, had: Iterable[str], have: Collection[str]) -> set[str]:
        """Return the names of the source that are not taken over: written anew, or gone since."""
        return {n for n in had if self.owns(n) and (self.wrote(n) or n not in have)}


def names_of_run(adata: AnnData, key: str, also: tuple[str, ...] = ()) -> RunNames:
    """Return the names that belong to the run under a key, and to those that were made with it."""
    return RunNames(key, tuple(k for k in runs_of(adata) if k.startswith(slot(key, "")) and k not in also), also)


def forget_run(adata: AnnData, key: str, steps: Iterable[str] | None = None) -> None:
    """Remove what an earlier run wrote under a key; columns of the user's stay, whatever their names.

    With ``steps`` only the labels of these steps of an annotation go, with their probabilities, votes and colours.
    """
    if steps is None and key not in runs_of(adata):
        return
    slots = _SLOTS if steps is None else {name for step in steps for name in SLOTS_OF_STEP[step]}
    names = names_of_run(adata, key)
    gone = [c for c in adata.obs if names.wrote(str(c), slots)]
    if gone:
        adata.obs = adata.obs.drop(columns=gone)
    for mapping in (adata.obsm, adata.uns):
        for name in [n for n in mapping if names.wrote(n, slots)]:
            del mapping[name]
    if steps is None:
        adata.uns[UNS] = {k: record for k, record in runs_of(adata).items() if k != key}


# A signature with a smaller share of its genes is named; so many signatures, and so many genes of each.
_WELL_COVERED = 0.8
_SIGNATURES, _GENES = 3, 5


def describe_run(data: Unpacked, plan: Plan, method: Method, bins: Array | None) -> dict[str, Any]:
    """Return the record of a scoring run: signatures with digests, matrix, ids, coverage, method."""
    about = [(s.version, s.axis, s.digest) for s in plan.outputs]
    ids = pd.Index(plan.ids, name="signature")
    renamed = pd.DataFrame(list(data.index.substitutions.items()), columns=["symbol", "found_as"], dtype=object)
    record: dict[str, Any] = {
        "tamannot_version": package_version(),
        "method": {"name": method.name, **vars(method)},
        "signatures": pd.DataFrame(about, columns=["version", "axis", "digest"], index=ids),
        "coverage": coverage_table(plan),
        "matrix": describe_matrix(data),
        "substitutions": renamed.set_index("symbol"),
    }
    if bins is not None:
        record["null_reference"] = {"gene_ids": np.array(data.index.ids, dtype=object), "bin": bins}
    return record


def describe_matrix(data: Unpacked) -> dict[str, Any]:
    """Return the matrix that was used, its kind, and its features that are not genes."""
    features = data.inspection.features
    left_out = pd.DataFrame(list(features.left_out), columns=["feature_type", "n"])
    return {
        "name": data.matrix,
        "kind": data.kind,
        "gene_ids": data.ids_from,
        "species": data.species,
        "n_obs": data.rows.shape[0],
        "n_vars": data.rows.shape[1],
        "candidates": np.array(data.looks, dtype=object),
        "left_out": left_out.astype({"feature_type": object, "n": np.int64}).set_index("feature_type"),
        "left_out_by": features.by,
    }


def coverage_table(plan: Plan) -> pd.DataFrame:
    """Return the number of genes of each signature in the data, and the missing genes."""
    rows = [(c.n_genes, c.n_present, c.share, ",".join(c.missing)) for c in plan.coverage]
    columns = ["n_genes", "n_present", "coverage", "missing"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(plan.ids, name="signature"))


def missing_genes(plan: Plan, index: GeneIndex, only: Collection[str] | None = None) -> str:
    """Return one line on missing genes of signatures, with suggestions; empty if few are missing."""
    found = zip(plan.outputs, plan.coverage, strict=True)
    low = [(s, c) for s, c in found if c.share < _WELL_COVERED and (only is None or s.id in only)]
    if not low:
        return ""
    parts = []
    for signature, c in sorted(low, key=lambda one: one[1].share)[:_SIGNATURES]:
        # The names of the library were checked; those of a user may be slips.
        near = {g: " or ".join(index.nearest(g, slips=signature.species == "any")) for g in c.missing[:_GENES]}
        words = [f"{gene} (did you mean {meant}?)" if meant else gene for gene, meant in near.items()]
        words += c.missing[_GENES:]
        parts.append(f"{len(c.missing)} of {c.n_genes} genes of {signature.id}: {some_of(words, _GENES)}")
    if len(low) > _SIGNATURES:
        parts.append(f"and genes of {len(low) - _SIGNATURES} more signatures")
    return f"Missing in the data: {'; '.join(parts)}."
