"""Fitting a cohort to keep: `tl.train` without labels."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from anndata import AnnData

from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.classify import AnchoredModel, Cohort, Prepared, keep_cohort, prepare
from tamannot.data import Unpacked
from tamannot.errors import ParameterError
from tamannot.signature import Signatures
from tamannot.tl._run import check_choices, read_input

# With fewer, what is familiar to a model would be a matter of chance.
_FEWEST_MACROPHAGES = 30
RANKED = (
    "The base of the logarithms is not recognised, so the model is on ranks within the cell and takes only such "
    "data. Train on counts (layer=) if there are any."
)


def learn_model(
    adata: AnnData,
    signatures: Signatures | None,
    choices: Mapping[str, Any],
    report: Progress,
) -> tuple[AnchoredModel, list[str]]:
    """Learn what an annotation of these cells would, and keep it; return it with what the user should hear.

    Raises
    ------
    ParameterError
        Too few macrophages have one program clearly active, or a parameter is out of range.
    TamannotError
        As `annotate`.
    """
    check_choices(adata, choices)
    report("reading")
    data, library, source, how = read_input(adata, signatures, choices, portable=True)
    ready = prepare(source, library, how, threads=settings.n_threads(), report=report)
    _check_learned(ready.cohort)
    plan = ready.panels.everything
    kept = zip(plan.outputs, plan.digests, strict=True)
    model = keep_cohort(
        ready.cohort,
        data.index,
        scale=ready.source.scale,
        species=how.species,
        signatures={s.id: (s.version, digest) for s, digest in kept if ":" not in s.id},
        target_accuracy=how.target_accuracy,
        rng=how.rng,
        training=_training(data, ready, choices),
        metrics={},
    )
    return model, _said(data, model.scale, choices, ready.cohort)


def _check_learned(cohort: Cohort) -> None:
    if cohort.states.regression is not None and cohort.n_macrophages >= _FEWEST_MACROPHAGES:
        return
    msg = (
        f"Nothing can be learned of states: there are {cohort.n_macrophages:,} macrophages, and too few of them have "
        "one program clearly active, or none. Train on more cells; tl.annotate calls these without a model."
    )
    raise ParameterError(msg)


def _training(data: Unpacked, ready: Prepared, choices: Mapping[str, Any]) -> dict[str, Any]:
    sample, given = ready.source.cells.sample, choices.get("compartment_key")
    return {
        "matrix": data.matrix,
        "kind": data.kind,
        "n_obs": data.rows.shape[0],
        "n_vars": data.rows.shape[1],
        "sample_key": choices.get("sample_key"),
        "n_samples": None if sample is None else len(set(sample)),
        "compartment_key": given if isinstance(given, str | None) else given[0],
        **made_with(),
    }


def made_with() -> dict[str, str]:
    """Return the versions that a model was made with."""
    return {"tamannot": package_version()} | {name: version(name) for name in ("numpy", "scikit-learn")}


def _said(data: Unpacked, scale: str, choices: Mapping[str, Any], cohort: Cohort) -> list[str]:
    said = [data.note] if data.note else []
    if choices["tissue"] == "auto":
        said.append(f"Tissue taken as {cohort.tissue}: {cohort.tissue_reason}. tissue= overrides.")
    if cohort.novelty is None:
        said.append("There are too few macrophages to say what is unlike them: the model takes no cell for unfamiliar.")
    if scale == "ranks":
        said.append(RANKED)
    return said
