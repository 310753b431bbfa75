"""Learning an anchored model: `tl.train` without labels."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from anndata import AnnData

from tamannot._adata import Unpacked
from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.classify import find_scale
from tamannot.errors import ParameterError
from tamannot.models import MIN_CELLS
from tamannot.pipeline import Knowledge, Prepared, keyed, prepare
from tamannot.signature import Signatures
from tamannot.tl._anchored import AnchoredModel, as_anchored_model, on_scale
from tamannot.tl._run import check_choices, read_input

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
        There are too few macrophages beyond doubt to learn from, or a parameter is out of range.
    TamannotError
        As `annotate`.
    """
    check_choices(adata, choices)
    report("reading")
    data, library, source, how = read_input(adata, signatures, choices, portable=True)
    scale, base = find_scale(data.rows, data.kind, data.index.ids, threads=settings.n_threads())
    ready = prepare(on_scale(source, scale, base), library, how, threads=settings.n_threads(), report=report)
    _check_learned(ready.knowledge)
    plan = ready.panels.everything
    model = keyed(
        ready.knowledge,
        data.index,
        scale=scale,
        species=how.species,
        signatures={s.id: (s.version, digest) for s, digest in zip(plan.outputs, plan.digests, strict=True)},
        target_accuracy=how.target_accuracy,
        training=_training(data, ready, choices),
    )
    return as_anchored_model(model), _said(data, model.axes, scale, choices, ready.knowledge)


def _check_learned(knowledge: Knowledge) -> None:
    # Nulls alone are no model: the fixed rule on the nulls of another study's macrophages is worse than on one's own.
    if "origin" in knowledge.questions or "state" in knowledge.questions:
        return
    msg = (
        f"Nothing can be learned of origin or state: there are {knowledge.n_macrophages:,} macrophages, at least "
        f"{MIN_CELLS} are needed, and enough of two programs beyond doubt. Train on more cells; tl.annotate calls "
        "these by the fixed rule."
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
        "tamannot": package_version(),
        "numpy": version("numpy"),
        "scikit-learn": version("scikit-learn"),
    }


def _said(data: Unpacked, axes: tuple[str, ...], scale: str, choices: Mapping[str, Any], known: Knowledge) -> list[str]:
    said = [data.note] if data.note else []
    if choices["tissue"] == "auto":
        said.append(f"Tissue taken as {known.tissue}: {known.tissue_reason}. tissue= overrides.")
    ruled = [axis for axis in (("origin", "state") if known.brain else ("state",)) if axis not in axes]
    said += [f"Too few cells beyond doubt to learn {axis}: the model calls it by the fixed rule." for axis in ruled]
    if known.resemblance is None:
        said.append("Too few genes set these macrophages apart: the model will take no cell for unfamiliar.")
    if scale == "ranks":
        said.append(RANKED)
    return said
