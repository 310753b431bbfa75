"""What `tl.train` learns: a cohort to keep, or a classifier of the user's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pandas as pd
from anndata import AnnData

import tamannot.data as slots
from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import AnnotateSettings, settings
from tamannot.classify import AnchoredModel, Cohort, HeldOut, Prepared, check_classes, fit_labels, keep_cohort, prepare
from tamannot.data import Unpacked
from tamannot.errors import GeneIdError, ParameterError, SpeciesError
from tamannot.signature import OURS, GeneIndex, Signatures, load_signatures, read_ids
from tamannot.signature._names import names_of
from tamannot.stats._held_out import judge
from tamannot.tl._model import Model, genes_as_signature
from tamannot.tl._run import read_input

N_GENES, _FEW_CELLS = 3000, 20
NOT_LABELS = ("", "nan", "none", "unassigned", "unclear", "unknown")
"""Words, in any case, that stand for a cell without a label."""
# With fewer, what is familiar to a model would be a matter of chance.
_FEWEST_MACROPHAGES = 30
RANKED = (
    "The base of the logarithms is not recognised, so the model is on ranks within the cell and takes only such "
    "data. Train on counts (layer=) if there are any."
)


def learn_model(
    adata: AnnData,
    signatures: Signatures | None,
    asked: AnnotateSettings,
    report: Progress,
) -> tuple[AnchoredModel, list[str]]:
    """Learn what an annotation of these cells would, and keep it; return it with what the user should hear."""
    asked.check()
    report("reading")
    data, library, source, resolved = read_input(adata, signatures, replace(asked, portable=True))
    ready = prepare(source, library, resolved, threads=settings.n_threads(), report=report)
    _check_learned(ready.cohort)
    plan = ready.panels.everything
    kept = zip(plan.outputs, plan.digests, strict=True)
    model = keep_cohort(
        ready.cohort,
        data.index,
        scale=ready.source.scale,
        species=ready.panels.species,
        signatures={s.id: (s.version, digest) for s, digest in kept if ":" not in s.id},
        target_accuracy=asked.target_accuracy,
        rng=asked.rng,
        training=_training(data, ready, asked),
        metrics={},
    )
    return model, _notes_of_cohort(data, model.scale, asked, ready.cohort)


def _check_learned(cohort: Cohort) -> None:
    if cohort.states.regression is not None and cohort.n_macrophages >= _FEWEST_MACROPHAGES:
        return
    msg = (
        f"Nothing can be learned of states: there are {cohort.n_macrophages:,} macrophages, and too few of them have "
        "one program clearly active, or none. Train on more cells; tl.annotate calls these without a model."
    )
    raise ParameterError(msg)


def _training(data: Unpacked, ready: Prepared, asked: AnnotateSettings) -> dict[str, Any]:
    sample, given = ready.source.cells.sample, asked.compartment_key
    return {
        "matrix": data.matrix,
        "kind": data.kind,
        "n_obs": data.rows.shape[0],
        "n_vars": data.rows.shape[1],
        "sample_key": asked.sample_key,
        "n_samples": None if sample is None else len(set(sample)),
        "compartment_key": given if isinstance(given, str | None) else given[0],
        **made_with(),
    }


def made_with() -> dict[str, str]:
    """Return the versions that a model was made with."""
    return {"tamannot": package_version()} | {name: version(name) for name in ("numpy", "scikit-learn")}


def _notes_of_cohort(data: Unpacked, scale: str, asked: AnnotateSettings, cohort: Cohort) -> list[str]:
    notes = [data.note] if data.note else []
    if asked.tissue == "auto":
        notes.append(f"Tissue taken as {cohort.tissue}: {cohort.tissue_reason}. tissue= overrides.")
    if cohort.novelty is None:
        notes.append(
            "There are too few macrophages to say what is unlike them: the model takes no cell for unfamiliar."
        )
    if scale == "ranks":
        notes.append(RANKED)
    return notes


def train_model(
    adata: AnnData,
    labels: str | Sequence[object] | pd.Series,
    asked: AnnotateSettings,
    report: Progress,
    *,
    n_genes: int,
) -> tuple[Model, list[str]]:
    """Train a model on labels; return it with what the user should hear. See `train`."""
    target_accuracy, rng, sample_key = asked.target_accuracy, asked.rng, asked.sample_key
    _check(target_accuracy, n_genes)
    words = _labels(adata, labels)
    classes, truth = check_classes(words)
    sample = None if sample_key is None else slots.texts_of(slots.obs_column(adata, sample_key))
    n_samples = None if sample is None else len({s for s, w in zip(sample, words, strict=True) if w is not None})
    report("reading")
    data = _unpack(adata, asked)
    symbols, ensembl = names_of(data.index)
    report("training")
    found = Counter(w for w in words if w is not None)
    classifier, held = fit_labels(
        data.rows,
        data.kind,
        symbols=symbols,
        ensembl=ensembl,
        species=next((s for s in OURS if s == data.species), "unknown"),
        classes=classes,
        truth=truth,
        sample=sample,
        labels=labels if isinstance(labels, str) else str(getattr(labels, "name", None) or "labels"),
        n_genes=n_genes,
        rng=rng,
        threads=settings.n_threads(),
        training={
            "n_cells": {c: found[c] for c in classes},
            "n_without_label": len(words) - sum(found.values()),
            "sample_key": sample_key,
            "n_samples": n_samples,
            "matrix": data.matrix,
            "kind": data.kind,
            "rng": rng,
            **made_with(),
        },
    )
    held_out = f"cells of other {sample_key}" if n_samples and n_samples > 1 else "other cells, of the same samples"
    metrics = judge(held.proba, held.truth, held.weight, held.sample, classes, target_accuracy)
    metrics = {"held_out": held_out, **metrics, **classifier.metrics}
    model = Model(**{**vars(classifier), "threshold": metrics["threshold"], "metrics": metrics})
    notes = [data.note] if data.note else []
    notes += _notes_of_labels(model, held, sum(found.values()))
    if n_samples == 1:
        notes.append(f"'{sample_key}' has one value only: cells of the same sample were held out.")
    return model, [*notes, RANKED] if model.scale == "ranks" else notes


def _notes_of_labels(model: Model, held: HeldOut, n_labelled: int) -> list[str]:
    """Return what the user should hear of the cells, and of the threshold."""
    notes = []
    if n_copies := n_labelled - int(held.size.sum()):
        notes.append(f"{n_copies:,} of the labelled cells are copies of others; each cell is learned from once.")
    if small := [f"'{c}' ({n})" for c, n in zip(model.classes, held.size, strict=True) if n < _FEW_CELLS]:
        notes.append(f"Fewer than {_FEW_CELLS} cells of {', '.join(small)}: what is learned of them is weak.")
    notes += [
        f"Cells of '{c}' are in one sample only, so none could be held out: its accuracy is not known."
        for c, found in model.metrics["per_class"].items()
        if not found["n"]
    ]
    if model.threshold is None:
        notes.append(
            f"No threshold reaches an accuracy of {model.metrics['target_accuracy']:g} on held-out cells (the best "
            f"lower bound is {model.metrics['best_lower']:.2f}): the model gives probabilities, but no label. Train "
            "with a lower target_accuracy, or on more samples."
        )
    return notes


def _check(target_accuracy: float, n_genes: int) -> None:
    if not 0 < target_accuracy < 1:
        msg = f"target_accuracy={target_accuracy} is not between 0 and 1."
        raise ParameterError(msg)
    if n_genes < 1:
        msg = f"n_genes is at least 1, not {n_genes}."
        raise ParameterError(msg)


def _labels(adata: AnnData, labels: str | Sequence[object] | pd.Series) -> list[str | None]:
    """Return the label of each cell, None for those without."""
    if isinstance(labels, str):
        given = slots.obs_column(adata, labels)
    elif isinstance(labels, pd.Series) and labels.index.equals(adata.obs_names):
        given = labels
    elif isinstance(labels, pd.Series) and labels.index.is_unique and set(adata.obs_names) <= set(labels.index):
        given = labels.reindex(adata.obs_names)
    else:
        given = pd.Series(list(labels), dtype=object)
    if len(given) != adata.n_obs:
        msg = f"There are {len(given):,} labels for {adata.n_obs:,} cells. Give one a cell, or the name of a column."
        raise ParameterError(msg)
    missing = given.isna().to_numpy()
    words = [str(v).strip() for v in given.tolist()]
    found = [None if m or w.lower() in NOT_LABELS else w for w, m in zip(words, missing, strict=True)]
    if odd := next((w for w in found if w and not (w.isprintable() and len(w) <= 200)), None):
        msg = f"The label {odd[:50]!r} is no name: labels are one line of at most 200 characters."
        raise ParameterError(msg)
    return found


def _unpack(adata: AnnData, asked: AnnotateSettings) -> Unpacked:
    """Choose the matrix by the genes of the library; of ids that it does not know, by those in ``var``."""
    where: dict[str, Any] = {"layer": asked.layer, "gene_symbols": asked.gene_symbols, "species": asked.species}
    seen = slots.data_species(adata, **where)
    library = load_signatures(species="mouse" if seen == "mouse" else "human")
    try:
        return slots.unpack(adata, library, **where)
    except (GeneIdError, SpeciesError):
        column = adata.var_names if asked.gene_symbols is None else adata.var[asked.gene_symbols]
        symbols, _ = names_of(GeneIndex(read_ids(slots.texts_of(column)).ids))
        own = [s for s in symbols if s]
        if not own:
            raise
        return slots.unpack(adata, {"own": genes_as_signature(own, [""] * len(own))}, **where)
