"""The methods paragraph, the signatures with their sources, and versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version

from tamannot._resources import package_version
from tamannot.data import RunRecord
from tamannot.errors import SignatureNotFoundError
from tamannot.pl._style import pretty
from tamannot.report._blocks import Facts, Point, Points, Section, Text, percent, pictures_of, table_of
from tamannot.report._material import Material, counts_of
from tamannot.signature import Reference, load_signature

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
    of_axes = {axis: counts_of(material, axis) for axis in ("origin", "state")}
    left = {axis: n.get("unassigned", 0) / sum(n.values()) for axis, n in of_axes.items() if n}
    without = " and ".join(f"{percent(share)} had no called {axis}" for axis, share in left.items())
    left_out = f"Of {int(material.macrophages.sum()):,} macrophages, {without}." if without else ""
    made = [name for key, name in _ANALYSES.items() if run.has(key)]
    analyses = f"Analyses with the sample as the unit: {', '.join(made)}." if made else ""
    said = (_data(material), _scores(run), _null(run), _labels(run), left_out, analyses)
    cited = (Text("Cited:"), Points((_UCELL,))) if str(run.method["name"]) == "ucell" else ()
    return Section("methods", "Methods", (Text(_HOW_TO_USE), Text(" ".join(filter(None, said)), "quote"), *cited))


def _data(material: Material) -> str:
    run, matrix, tissue = material.run, material.run.matrix, material.run.tissue
    of = f" of {len(material.samples.names):,} samples" if material.samples is not None else ""
    where = f" Tissue was taken as {tissue.used} ({tissue.reason})." if tissue else ""
    source = matrix.name if matrix.name in ("X", "raw") else f"layer {matrix.name}"
    return (
        f"Tumour-associated macrophages were annotated in {material.cells.n_obs:,} cells{of} with tamannot "
        f"{run.tamannot_version} ({matrix.species}, {matrix.n_vars:,} genes, "
        f"{_KINDS.get(matrix.kind, matrix.kind)} from {source}).{where}"
    )


def _scores(run: RunRecord) -> str:
    n, method = len(run.signatures), run.method
    if str(method["name"]) != "ucell":
        return f"Each cell was scored for {n} versioned gene signatures by {method['name']}."
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
    expression = "; ".join(f"for {axes}, that of {cells}" for axes, cells in of.items())
    return (
        "Within each cell, scores were compared in closed form with random signatures matched in expression (z, "
        f"and p of a Pearson type III distribution); the reference expression was, {expression}."
    )


def _labels(run: RunRecord) -> str:
    """Say how compartments, origins and states were called, by what was trained where, and with which probabilities."""
    said, model = [], run.model if run.has("model") else {}  # missing in joined samples, each with its own classifier
    own = run.parameters.get("compartment_key")
    if own is not None:
        column = own["column"] if isinstance(own, Mapping) else own
        said.append(f"Compartments were taken from the existing annotation in column '{column}'.")
    elif how := str(model.get("compartment", "")):
        said.append(f"Compartments were called by the {how}.")
    if not run.has("model"):
        return " ".join(said)
    for axis in ("origin", "state"):
        if axis in model:
            how = pretty(str(model[axis]))
            said.append(f"{axis.capitalize()} was {how if how.startswith('not called') else f'called by the {how}'}.")
    if run.learned_from and "kind" in model:
        trained = f"trained on {model['cells']} (model {str(model['digest'])[:12]})"
        said.append(f"Classifiers and baselines came from a model {trained}.")
    elif run.learned_from:
        n, of = run.learned_from["n_macrophages"], run.learned_from["n_cells"]
        said.append(f"Baselines of the states were fitted to {n:,} macrophages of {of:,} cells.")
    seed = f" (seed {int(run.parameters['rng'])})" if "rng" in run.parameters else ""
    if run.calibration_source:
        said.append(f"Probabilities of states: {run.calibration_source.removeprefix('states: ')}{seed}.")
    return " ".join(said)


def signatures(material: Material) -> Section | None:
    """Return every signature with version, digest, coverage and the keys of its sources, and the sources."""
    if not (material.run.has("signatures") and material.run.has("coverage")):
        return None
    used = material.run.signatures
    species = material.run.matrix.species if material.run.matrix.species in ("human", "mouse") else "human"
    references: dict[str, Reference] = {}
    sources = []
    for name, row in used.iterrows():
        cited = None
        with suppress(SignatureNotFoundError):
            found = load_signature(f"{name}@{row['version']}", species=species)
            if found.digest == str(row["digest"]):
                cited = {r.key: r for part in (found, *found.parts) for r in part.references}
        sources.append("own" if cited is None else ", ".join(cited))
        references |= cited or {}
    table = used.join(material.run.coverage).assign(sources=sources)
    order = ["axis", "version", "n_genes", "n_present", "coverage", "missing", "sources", "digest"]
    block = table_of(table[[c for c in order if c in table]].rename_axis("signature"), "Signatures", note=_NOTE)
    listed = []
    for key, reference in sorted(references.items()):
        unchecked = "" if reference.checked else " [not checked against the source]"
        where = f" PMID {reference.pmid}" if reference.pmid and not reference.doi else ""
        link = f"https://doi.org/{reference.doi}" if reference.doi else str(reference.url or "")
        listed.append(Point(f"{key}:", f"{reference.citation}{where}{unchecked}", link))
    cite = Text("Sources of these signatures; cite those of the labels that you use.")
    said = (cite, Points(tuple(listed))) if listed else ()
    return Section("signatures", "Signatures", (block, *pictures_of(material, "signatures"), *said))


def warnings_and_versions(material: Material) -> Section:
    """Return the warnings of the run, its parameters, and versions."""
    run = material.run
    noted = Points(tuple(Point("", text) for text in run.warnings)) if run.warnings else None
    given = {name: value["column"] if isinstance(value, dict) else value for name, value in run.parameters.items()}
    parameters = [("key", material.key), *((pretty(name), str(value)) for name, value in sorted(given.items()))]
    versions = [("annotated with", f"tamannot {run.tamannot_version}")] if run.has("tamannot_version") else []
    versions += [("report by", f"tamannot {package_version()}"), ("python", platform.python_version())]
    versions += [(package, version(package)) for package in _PACKAGES]
    blocks = (noted or Text("The run gave no warnings."), Facts(tuple(parameters)), Facts(tuple(versions)))
    return Section("versions", "Warnings, parameters and versions", blocks)
