"""A paragraph for the methods of a paper, made from what was run."""

from __future__ import annotations

from collections.abc import Mapping

from tamannot._adata import RunRecord
from tamannot.report._blocks import Point, Points, Quote, Section, Text
from tamannot.report._counts import counts_of
from tamannot.report._material import Material
from tamannot.report._tables import percent

_KINDS = {"counts": "counts", "log": "log-normalised values", "linear": "linear values"}
_ANALYSES = {
    "composition": "composition (tl.composition)",
    "regions": "regions",
    "ferroptosis_summary": "ferroptosis programs by sample and label",
    "enrichment": "enrichment (tl.enrich)",
    "crosstalk": "crosstalk with malignant cells (tl.crosstalk)",
    "claims": "published claims (tl.claims)",
}
_SAMPLES_TO_HOLD_OUT = 3
_ENOUGH = 20
_UCELL = Point(
    "UCell:",
    "Andreatta M, Carmona SJ (2021) UCell: Robust and scalable single-cell gene signature scoring. Computational and "
    "Structural Biotechnology Journal 19:3796–3798.",
    "https://doi.org/10.1016/j.csbj.2021.06.043",
)


def methods(material: Material) -> Section | None:
    """Return the paragraph, and what it cites; None where the record of the run is not there."""
    run = material.run
    if not (run.has("matrix") and run.has("method") and run.has("model")):
        return None
    sentences = (
        _data(material),
        _scores(run),
        _null(run),
        _compartment(run),
        _origin_and_state(material),
        _left_out(material),
        _analyses(run),
    )
    paragraph = " ".join(s for s in sentences if s)
    cited = (Text("Cited:"), Points((_UCELL,))) if _is_ucell(run) else ()
    said = "To paste; it says what was run here, and nothing that was not. Sources of the signatures stand above."
    return Section("methods", "Methods", (Text(said), Quote(paragraph), *cited))


def _is_ucell(run: RunRecord) -> bool:
    return str(run.method["name"]) == "ucell"


def _data(material: Material) -> str:
    run, n_obs = material.run, material.cells.n_obs
    matrix, tissue = run.matrix, run.tissue
    samples = material.samples
    of = f" of {len(samples.names):,} samples" if samples is not None else ""
    where = f" Tissue was taken as {tissue.used} ({tissue.reason})." if tissue else ""
    return (
        f"Tumour-associated macrophages were annotated in {n_obs:,} cells{of} with tamannot {run.tamannot_version} "
        f"({matrix.species}, {matrix.n_vars:,} genes, {_KINDS.get(matrix.kind, matrix.kind)} of {matrix.name}).{where}"
    )


def _scores(run: RunRecord) -> str:
    n, method = len(run.signatures), run.method
    if not _is_ucell(run):
        return f"Each cell was scored for {n} versioned gene signatures by {method.get('name', 'the method recorded')}."
    weights = "gene weights used" if str(method.get("weights")) == "use" else "gene weights ignored"
    return (
        f"Each cell was scored for {n} versioned gene signatures by UCell (Andreatta & Carmona 2021; variant "
        f"{method.get('variant')}, maximal rank {int(method.get('max_rank', 0)):,}, {weights}, absent genes taken as "
        "not expressed)."
    )


def _null(run: RunRecord) -> str:
    null = run.null
    if not (null.compartment and null.origin and null.other_axes):
        return ""
    return (
        "Scores were compared, within each cell and in closed form, with random signatures matched in expression (z, "
        f"and p of a Pearson III distribution). Expression was matched on {null.compartment} for compartments, "
        f"{null.origin} for origin, and {_for_the_rest(run)} for all else.{_other_ranks(run)}"
    )


def _other_ranks(run: RunRecord) -> str:
    """Say how many ranks count in the null, where they are not those of the scores."""
    ranks, of_scores = run.null.max_rank, run.method.get("max_rank")
    return f" For all but compartments z and p count {ranks:,} ranks." if ranks and ranks != of_scores else ""


def _for_the_rest(run: RunRecord) -> str:
    """Return which cells the other axes were matched on: where macrophages were too few it was all cells."""
    macrophages, _, instead = run.null.other_axes.partition("; ")
    few = run.learned_from.get("n_macrophages", _ENOUGH) < _ENOUGH
    return "all cells, the macrophages being fewer than 20," if few and instead else macrophages


def _compartment(run: RunRecord) -> str:
    own = run.parameters.get("compartment_key")
    if own is not None:
        column = own["column"] if isinstance(own, Mapping) else own
        return f"Compartments are those of the user's column '{column}'."
    how = str(run.model.get("compartment", ""))
    return f"Compartments were called by {_how(how)}." if how else ""


def _how(rule: str) -> str:
    name, _, heads = rule.partition("anchored self-training: ")
    rule_part = "a fixed rule on z" if "fixed rule" in name else ""
    learned = f"anchored self-training ({heads.replace('_', ' ')})" if heads else ""
    return " and ".join(p for p in (rule_part, learned) if p) or rule


def _origin_and_state(material: Material) -> str:
    run = material.run
    model = run.model
    said = [
        f"{axis.capitalize()} was called by {_how(str(model[axis]))}" for axis in ("origin", "state") if axis in model
    ]
    text = ". ".join(said) + "." if said else ""
    if not {"origin", "state"} & set(run.learned):
        return f"{text} Their probabilities are not calibrated."
    from_ = run.learned_from
    whose = f" of an anchored model ({model['cells']}, digest {str(model['digest'])[:12]})" if "kind" in model else ""
    n = (
        f" {from_['n_cells']:,} cells{whose}, {from_['n_macrophages']:,} of them macrophages, were learned from."
        if from_
        else ""
    )
    parameters = run.parameters
    aim = (
        f" The share of right calls aimed at among simulated mixtures was {float(parameters['target_accuracy']):g}"
        if "target_accuracy" in parameters
        else ""
    )
    seed = f" (seed {int(parameters['rng'])})." if aim and "rng" in parameters else "." if aim else ""
    return f"{text}{n}{_held_out(material)} Calibration: {run.calibration_source or 'not recorded'}.{aim}{seed}"


def _held_out(material: Material) -> str:
    """Say how samples were kept apart, if they were: the run must have known them."""
    known = material.run.sample_key is not None
    samples = material.samples
    if not known or samples is None or len(samples.names) < _SAMPLES_TO_HOLD_OUT or "kind" in material.run.model:
        return ""
    return " Each cell was called by what other samples taught."


def _left_out(material: Material) -> str:
    parts = []
    for axis in ("origin", "state"):
        counts = counts_of(material, axis, of="macrophages")
        if counts:
            parts.append(f"{percent(counts.get('unassigned', 0) / sum(counts.values()))} were left without {axis}")
    return f"Of {int(material.macrophages.sum()):,} macrophages, {' and '.join(parts)}." if parts else ""


def _analyses(run: RunRecord) -> str:
    made = [name for key, name in _ANALYSES.items() if run.has(key)]
    return f"With the sample as the unit, these were analysed: {', '.join(made)}." if made else ""
