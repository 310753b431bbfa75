"""The methods paragraph, the signatures with their sources, and versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from tamannot._resources import package_version
from tamannot.data import RunRecord
from tamannot.errors import SignatureNotFoundError
from tamannot.pl._style import pretty
from tamannot.report._blocks import Facts, Point, Points, Section, Text, percent, table_of
from tamannot.report._material import Material, counts_of
from tamannot.report._pictures import pictures_of
from tamannot.signature import Reference, Signature, load_signature

_KINDS = {"counts": "counts", "log": "log-normalised values", "linear": "linear values"}
_ANALYSES = {
    "composition": "composition (tl.composition)",
    "regions": "regions",
    "ferroptosis_summary": "ferroptosis programs by sample and label",
    "enrichment": "enrichment (tl.enrich)",
    "crosstalk": "crosstalk with malignant cells (tl.crosstalk)",
    "claims": "published claims (tl.claims)",
}
_UCELL = Point(
    "UCell:",
    "Andreatta M, Carmona SJ (2021) UCell: Robust and scalable single-cell gene signature scoring. Computational and "
    "Structural Biotechnology Journal 19:3796–3798.",
    "https://doi.org/10.1016/j.csbj.2021.06.043",
)
_NOTE = (
    "digest: the first characters of the SHA-256 of genes, directions and weights. "
    "own: not in the library of this release."
)
_HOW_TO_USE = (
    "This paragraph for your manuscript describes only what was run here. The signature sources are listed above."
)
_PACKAGES = ("anndata", "matplotlib", "numpy", "pandas", "scikit-learn", "scipy")


def methods(material: Material) -> Section | None:
    """Return the paragraph and its references; None if the record of the run is missing."""
    run = material.run
    if not (run.has("matrix") and run.has("method")):
        return None
    is_ucell = str(run.method["name"]) == "ucell"
    said = (_data(material), _scores(run, is_ucell=is_ucell), _null(run), _compartment(run), _origin_and_state(run))
    made = [name for key, name in _ANALYSES.items() if run.has(key)]
    analyses = f"Analyses with the sample as the unit: {', '.join(made)}." if made else ""
    paragraph = " ".join(filter(None, (*said, _left_out(material), analyses)))
    cited = (Text("Cited:"), Points((_UCELL,))) if is_ucell else ()
    return Section("methods", "Methods", (Text(_HOW_TO_USE), Text(paragraph, "quote"), *cited))


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


def _scores(run: RunRecord, *, is_ucell: bool) -> str:
    n, method = len(run.signatures), run.method
    if not is_ucell:
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
    of = {"compartments": null.compartment, "origin": null.origin, "all else": null.other_axes}
    if null.origin == null.other_axes:
        del of["origin"]
    expression = ", ".join(f"of {cells} for {axes}" for axes, cells in of.items())
    return (
        "Within each cell, scores were compared in closed form with random signatures matched in expression (z, "
        f"and p of a Pearson type III distribution); the reference expression was that {expression}."
    )


def _compartment(run: RunRecord) -> str:
    own = run.parameters.get("compartment_key")
    if own is not None:
        column = own["column"] if isinstance(own, Mapping) else own
        return f"Compartments were taken from the existing annotation in column '{column}'."
    how = str(run.model.get("compartment", "")) if run.has("model") else ""
    return f"Compartments were called by the {how}." if how else ""


def _origin_and_state(run: RunRecord) -> str:
    if not run.has("model"):  # samples that were joined, each with a classifier of its own
        return ""
    called = {axis: pretty(str(run.model[axis])) for axis in ("origin", "state") if axis in run.model}
    by = {axis: how if how.startswith("not called") else f"called by the {how}" for axis, how in called.items()}
    said = [f"{axis.capitalize()} was {how}." for axis, how in by.items()]
    if run.learned_from:
        n, of = run.learned_from["n_macrophages"], run.learned_from["n_cells"]
        said.append(
            f"Classifiers and baselines came from a model trained on {run.model['cells']} (model "
            f"{str(run.model['digest'])[:12]})."
            if "kind" in run.model
            else f"Baselines of the states were fitted to {n:,} macrophages of {of:,} cells."
        )
    seed = f" (seed {int(run.parameters['rng'])})" if "rng" in run.parameters else ""
    if run.calibration_source:
        said.append(f"Probabilities of states: {run.calibration_source.removeprefix('states: ')}{seed}.")
    return " ".join(said)


def _left_out(material: Material) -> str:
    counts = {axis: counts_of(material, axis) for axis in ("origin", "state")}
    left = {axis: n.get("unassigned", 0) / sum(n.values()) for axis, n in counts.items() if n}
    said = " and ".join(f"{percent(share)} were left without {axis}" for axis, share in left.items())
    return f"Of {int(material.macrophages.sum()):,} macrophages, {said}." if said else ""


def signatures(material: Material) -> Section | None:
    """Return every signature with version, digest, coverage and the keys of its sources, and the sources."""
    if not (material.run.has("signatures") and material.run.has("coverage")):
        return None
    used = material.run.signatures
    species = material.run.matrix.species if material.run.matrix.species in ("human", "mouse") else "human"
    references: dict[str, Reference] = {}
    sources = []
    for name, row in used.iterrows():
        found = _loaded(f"{name}@{row['version']}", species)
        if found is None or found.digest != str(row["digest"]):
            sources.append("own")
        else:
            cited = {r.key: r for part in (found, *found.parts) for r in part.references}
            sources.append(", ".join(cited))
            references |= cited
    table = used.join(material.run.coverage).assign(sources=sources)
    order = ["axis", "version", "n_genes", "n_present", "coverage", "missing", "sources", "digest"]
    block = table_of(table[[c for c in order if c in table]].rename_axis("signature"), "Signatures", note=_NOTE)
    listed = Points(tuple(_cited(references[key]) for key in sorted(references)))
    said = (Text("Sources of these signatures; cite those of the labels that you use."), listed) if references else ()
    return Section("signatures", "Signatures", (block, *pictures_of(material, "signatures"), *said))


@cache
def _loaded(name: str, species: str) -> Signature | None:
    """Return a signature of the library; None if this release does not have it."""
    try:
        return load_signature(name, species=species)
    except SignatureNotFoundError:
        return None


def _cited(reference: Reference) -> Point:
    unchecked = "" if reference.checked else " [not checked against the source]"
    where = f" PMID {reference.pmid}" if reference.pmid and not reference.doi else ""
    link = f"https://doi.org/{reference.doi}" if reference.doi else str(reference.url or "")
    return Point(f"{reference.key}:", f"{reference.citation}{where}{unchecked}", link)


def warnings_and_versions(material: Material) -> Section:
    """Return the warnings of the run, its parameters, and versions."""
    run = material.run
    noted = Points(tuple(Point("", text) for text in run.warnings)) if run.warnings else None
    given = {name: value["column"] if isinstance(value, dict) else value for name, value in run.parameters.items()}
    parameters = [("key", material.key), *((pretty(name), str(value)) for name, value in sorted(given.items()))]
    versions = [("annotated with", f"tamannot {run.tamannot_version}")] if run.has("tamannot_version") else []
    versions += [("report by", f"tamannot {package_version()}"), ("python", platform.python_version())]
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions.append((package, version(package)))
    blocks = (noted or Text("The run gave no warnings."), Facts(tuple(parameters)), Facts(tuple(versions)))
    return Section("versions", "Warnings, parameters and versions", blocks)
