"""Sections on the findings (five sentences), caveats, the input, the calls, and the calls by sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import scipy.stats

from tamannot.analysis._samples import table_of_samples
from tamannot.classify import FEW_GENES
from tamannot.errors import some_of
from tamannot.get._evidence import REASONS
from tamannot.pl._style import pretty
from tamannot.report._blocks import Block, Facts, Point, Points, Section, Text, percent, pictures_of, table_of
from tamannot.report._material import Material, cells_with, counts_of, share_with
from tamannot.signature import load_signatures
from tamannot.stats._means import over_samples
from tamannot.stats._shares import wilson

_NO_LABEL = ("unassigned", "not_macrophage")
_KINDS = {"counts": "counts", "log": "log-normalised values", "linear": "linear values, not counts"}
_TITLES = {
    "compartment": "Compartments of all cells",
    "origin": "Origins of macrophages",
    "state": "States of macrophages",
}
_OF_COUNTING = (
    "Shares are of cells as called, among all macrophages of a sample, including those without a label. low and high "
    "are the limits of Wilson's 95 % interval: it covers errors of counting, not the variation between samples."
)
_OF_SAMPLES = (
    "Shares are of cells as called; every sample has the same weight. low and high are the limits of the 95 % "
    "interval of Student's t over samples."
)
_FEW_OF_SAMPLE, _FEW_SAMPLES = 30, 3
_MANY, _DOMINATED = 0.1, 0.5
_MIXED = 3.0  # z of another lineage in a macrophage that is not due to chance
_LISTED = 8

_ALWAYS = (
    Point("Origin is similarity, not lineage.", "Microglia-like transcripts do not show where a cell came from."),
    Point(
        "Ferroptosis programs do not measure death.",
        "They reflect transcripts for the handling of iron, glutathione and lipid peroxides. Most rest on few detected "
        "genes: interpret them by sample and label, not by cell.",
    ),
    Point(
        "Probabilities come from a model.",
        "They rest on signatures and reference profiles, not on tissue with known cell identities: of the calls with a "
        "probability of 0.9, more or fewer than nine in ten may be correct.",
    ),
    Point("Cells are not replicates.", "Compare samples: thousands of cells from one patient are still one patient."),
)


def found(material: Material) -> Section:
    """Return the first section: cells, origins, states, unassigned cells, and how reliable the calls are."""
    sentences = (
        _cells(material),
        _calls(material, "origin", "By origin (similarity, not lineage)"),
        _calls(material, "state", "By state"),
        _programs(material),
        _confidence(material),
    )
    return Section("found", "Findings", tuple(map(Text, sentences)))


def _cells(material: Material) -> str:
    n, n_obs, where = int(material.macrophages.sum()), material.cells.n_obs, ""
    if material.samples is not None:
        n_samples = len(material.samples.names)
        where = f" of {n_samples:,} sample{'' if n_samples == 1 else 's'}"
    others = counts_of(material, "compartment")
    named = {k: v for k, v in others.items() if k not in ("macrophage", *_NO_LABEL)}
    rest = f" Other cells: mostly {_joined(_listed(named, n_obs, 3))}." if named else ""
    if left := others.get("unassigned", 0):
        rest += f" {left:,} ({percent(left / n_obs)}) {'has' if left == 1 else 'have'} no compartment."
    are = f"{n:,} ({percent(n / max(n_obs, 1))}) {'is a macrophage' if n == 1 else 'are macrophages'}"
    return f"Of {n_obs:,} cell{'' if n_obs == 1 else 's'}{where}, {are}.{rest}"


def _calls(material: Material, axis: str, begin: str) -> str:
    counts = counts_of(material, axis)
    n = sum(counts.values())
    if not n:
        return f"{begin}, nothing is reported, because there are no macrophages."
    named, left = {k: v for k, v in counts.items() if k not in _NO_LABEL}, counts.get("unassigned", 0)
    first, *others = _listed(named, n, 5) if named else ["0 labelled (0\u00a0%)"]
    count, _, label = first.partition(" ")
    said = _joined([f"{count} of {n:,} macrophages {'is' if count == '1' else 'are'} {label}", *others])
    if not left:
        return f"{begin}, {said}. None is unassigned."
    rest = f"{left:,} {'is' if left == 1 else 'are'} unassigned ({percent(left / n)})"
    if material.has(f"{axis}_status"):
        status = material.labels(f"{axis}_status")[material.macrophages].value_counts()
        reasons = {REASONS[str(k)]: v for k, v in status.items() if v and str(k) in REASONS}  # the most frequent first
        if reasons:
            rest += ": " + "; ".join(f"{why} ({percent(v / n)})" for why, v in reasons.items())
    return f"{begin}, {said}. {rest}."


def _programs(material: Material) -> str:
    if not material.has("programs") or not material.macrophages.any():
        return "No programs other than states were scored."
    names = list(load_signatures(axis="overlay"))
    if material.run.has("signatures"):  # else they were lost in joining
        axis = material.run.signatures["axis"].astype(str)
        names = list(map(str, axis.index[axis == "overlay"]))
    shares = pd.Series({name: share_with(material, name) for name in names}, dtype=float)
    active = shares[shares > 0].sort_values(ascending=False, kind="stable")
    if active.empty:
        return "No program that can accompany any state (hypoxia, proliferation, dissociation stress) is active."
    said = ", ".join(f"{pretty(str(name))} in {percent(share)}" for name, share in active.items())
    return f"Programs that can accompany any state, active in macrophages (p < 0.01): {said}."


def _confidence(material: Material) -> str:
    run = material.run
    if not run.has("model"):
        return "These data do not record how origin and state were called."
    said = ["origins are called by comparing their z scores"] if "origin" in run.model else []
    if "state" in run.model:
        whose = "the model's training cells" if "kind" in run.model else "these cells"
        by = f" and by a classifier trained on {whose}" if "state" in run.learned else ""
        said.append(f"states are called by the activity of signatures{by}")
    if not said:
        return "Origin and state were not called."
    limit = "Their probabilities were not validated on tissue with known cell identities."
    return f"Confidence: {'; '.join(said)}. {limit}"


def _listed(counts: Mapping[str, int], n: int, most: int) -> list[str]:
    ranked = sorted(counts.items(), key=lambda item: -item[1])[:most]
    return [f"{count:,} {pretty(name)} ({percent(count / max(n, 1))})" for name, count in ranked]


def _joined(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def cautions(material: Material) -> Section:
    """Return the limits of this report: first the doubts that these data raise, then those that always apply."""
    found = tuple(point for check in _CHECKS for point in check(material))
    doubts = (Text("Reasons for caution in these data:"), Points(found))
    none = Text("No check of these data raised a warning. This does not prove that the calls are right.")
    always = (Text("Limits of all data of this kind:"), Points(_ALWAYS))
    return Section("cautions", "Caveats", (*(doubts if found else (none,)), *always))


def _few(material: Material) -> Iterator[Point]:
    """Yield doubts about the numbers of macrophages and samples."""
    n, samples = int(material.macrophages.sum()), material.samples
    if n < 50:
        yield Point(
            "Few macrophages.",
            f"There are only {n:,}. With so few cells, the baselines of the states stay close to those of the "
            "reference, even where these data differ from it, and shares are uncertain.",
        )
    if samples is None:
        yield Point(
            "Samples are unknown.",
            "No sample column was given (sample_key, --sample-key), so this report cannot show differences between "
            "patients.",
        )
        return
    per_sample = samples.total(material.macrophages.astype(float))
    if len(samples.names) < _FEW_SAMPLES:
        some = "One sample" if len(samples.names) == 1 else f"{len(samples.names)} samples"
        yield Point(f"{some}.", "These results may be specific to this tumour; nothing can be tested.")
    if few := [n for n, k in zip(samples.names, per_sample, strict=True) if k < _FEW_OF_SAMPLE]:
        shown = ", ".join(few[:_LISTED]) + (" …" if len(few) > _LISTED else "")
        yield Point(
            "Samples with few macrophages.",
            f"{len(few):,} of {len(samples.names):,} have fewer than {_FEW_OF_SAMPLE}: {shown}. Their shares are "
            "uncertain.",
        )
    if len(samples.names) > 1 and per_sample.sum() and per_sample.max() / per_sample.sum() > _DOMINATED:
        who = samples.names[int(per_sample.argmax())]
        share = percent(per_sample.max() / per_sample.sum())
        yield Point(
            "One sample dominates.",
            f"{share} of the macrophages come from {who}: shares over all cells mostly reflect this sample.",
        )


def _coverage(material: Material) -> Iterator[Point]:
    if not (material.run.has("coverage") and material.run.has("signatures")):
        return
    table = material.run.coverage
    axis = material.run.signatures["axis"].astype(str).reindex(table.index)
    low = table.loc[table["coverage"] < FEW_GENES, "coverage"].sort_values(kind="stable")
    if low.empty:
        return
    names = some_of([f"{pretty(str(i))} ({percent(v)})" for i, v in low.items()], _LISTED)
    calling = ", ".join(pretty(str(i)) for i in low.index[axis[low.index].isin(["origin", "state"])])
    yield Point(
        "Low coverage.",
        f"Fewer than half of the genes are in the data for {names}. If one of these programs is not found, it may "
        "still be present." + (f" This affects the origins or states {calling}." if calling else ""),
    )


def _unassigned(material: Material) -> Iterator[Point]:
    """Yield doubts about cells without a label, and about the labels that depend on depth."""
    compartments = material.labels("compartment")
    share = float((compartments == "unassigned").mean()) if len(compartments) else 0.0
    if share > _DOMINATED:
        yield Point(
            "Most cells have no compartment.",
            f"{percent(share)} of all cells match no panel clearly: some of them may be macrophages.",
        )
    states = counts_of(material, "state")
    share = states.get("unassigned", 0) / max(sum(states.values()), 1)
    if share > _DOMINATED:
        yield Point(
            "Most macrophages have no state.",
            f"{percent(share)} of the macrophages are unassigned: shares among the labelled cells may not represent "
            "all macrophages.",
        )
    if material.depth is None:
        return
    depth, labelled = (values.astype(float) for values in material.depth)
    varies = np.ptp(depth) > 0 and np.ptp(labelled) > 0
    rho = float(scipy.stats.spearmanr(depth, labelled).statistic) if varies else 0.0
    if abs(rho) > 0.2:
        more = "more" if rho > 0 else "less"
        yield Point(
            "Labels depend on depth.",
            f"Macrophages with more counts have a state {more} often (Spearman's ρ {rho:.2f}, {depth.size:,} "
            "macrophages). Where samples differ in depth, their shares of labelled cells differ as well.",
        )


def _batch(material: Material) -> Iterator[Point]:
    """Return the states that come mostly from one sample: a program of one tumour, or a batch effect."""
    samples = material.samples
    if samples is None or len(samples.names) < _FEW_SAMPLES:
        return
    state = material.labels("state").astype(str).to_numpy()
    for name in sorted(set(state[material.macrophages]) - {"unassigned", "not_macrophage"}):
        counts = samples.total((state == name).astype(float))
        if counts.sum() >= _FEW_OF_SAMPLE and counts.max() / counts.sum() > _DOMINATED:
            who = samples.names[int(counts.argmax())]
            yield Point(
                "A state from one sample.",
                f"{percent(counts.max() / counts.sum())} of the {pretty(name)} cells come from {who}: a batch effect "
                "would look the same.",
            )


def _doubtful_programs(material: Material) -> Iterator[Point]:
    """Yield doubts about programs of treatment and preparation, genes of other lineages, and untested labels."""
    state = material.labels("state").astype(str).to_numpy()
    share = share_with(material, "dissociation_stress")
    within = share_with(material, "dissociation_stress", state == "inflammatory")
    if share > _MANY or within > _MANY:
        also = f", and in {percent(within)} of the inflammatory ones" if not np.isnan(within) else ""
        yield Point(
            "Dissociation stress.",
            f"Its program is active in {percent(share)} of the macrophages{also}. Warm digestion induces FOS, JUN, "
            "IL1B and CCL3: an inflammatory state may have been induced during sample preparation.",
        )
    share = share_with(material, "glucocorticoid_response")
    immune = material.macrophages & (state == "immunoregulatory")
    if share > _MANY or (immune & cells_with(material, "glucocorticoid_response")).sum() > _FEW_OF_SAMPLE:
        yield Point(
            "Steroids.",
            f"A glucocorticoid response is active in {percent(share)} of the macrophages. Dexamethasone induces "
            "scavenger and complement programs, so shares of immunoregulatory cells depend on exposure: use exposure "
            "as a covariate.",
        )
    known = material.has("mixed_lineage")
    z = material.column("mixed_lineage").to_numpy(dtype=float) if known else np.zeros(state.size)
    share = float((z[material.macrophages] > _MIXED).sum() / max(material.macrophages.sum(), 1))
    if share > _MANY:
        yield Point(
            "Ambient RNA, doublets or phagocytosed cells.",
            f"In {percent(share)} of the macrophages, genes of another lineage are enriched (z > {_MIXED:g}). "
            "Transcripts of that lineage (such as GFAP or PLP1) are then not a macrophage program.",
        )
    for axis, name in (("state", "pro_angiogenic"), ("origin", "border_associated")):
        n = counts_of(material, axis).get(name, 0)
        if n:
            yield Point(
                "Experimental.",
                f"The label {pretty(name)}, called for {n:,} cell{'s' * (n > 1)} here, has not been tested on labelled "
                "data.",
            )


_CHECKS = (_few, _coverage, _unassigned, _batch, _doubtful_programs)


def input_and_quality(material: Material) -> Section:
    """Return the matrix, gene ids, species and tissue of the run, and the depth of the cells."""
    run, samples, own = material.run, material.samples, material.run.parameters.get("compartment_key")
    facts = {"data": material.name, "cells": f"{material.cells.n_obs:,}"}
    if run.has("matrix"):
        matrix = run.matrix
        facts |= {
            "genes": f"{matrix.n_vars:,}, ids by {matrix.gene_ids}",
            "matrix used": f"{matrix.name}: {_KINDS.get(matrix.kind, matrix.kind)}",
            "matrices considered": "; ".join(matrix.candidates),
            "species": f"{matrix.species} (requested: {run.parameters.get('species', 'auto')})",
        }
    else:
        facts["record of the run"] = "missing from these data"
    facts |= {
        "tissue": f"{run.tissue.used}: {run.tissue.reason}" if run.tissue else "",
        "samples": "unknown" if samples is None else f"{len(samples.names):,}, by column {material.sample_key}",
        "condition": f"column {material.condition}" if material.condition else "none given",
    }
    if own is not None:
        facts["compartments"] = f"your own, from column {own['column'] if isinstance(own, dict) else own}"
    if material.depth is not None:
        depth, _ = material.depth
        low, middle, high = np.percentile(depth, [25, 50, 75])
        what = "counts" if run.matrix.kind == "counts" else "detected genes"
        measured = f"quartiles {low:,.0f} to {high:,.0f}; {depth.size:,} cells measured"
        facts[f"{what} of macrophages"] = f"median {middle:,.0f} ({measured})"
    left = (material.labels("compartment") == "unassigned").mean()
    facts["cells without a compartment"] = percent(float(left))

    blocks: list[Block] = [Facts(tuple((name, value) for name, value in facts.items() if value))]
    if run.has("substitutions") and len(run.substitutions):
        blocks.append(table_of(run.substitutions, "Former gene symbols mapped to current ones"))
    if samples is not None:
        table = pd.DataFrame({"sample": samples.names})
        if material.condition is not None:
            known = table_of_samples(material.cells, samples, [material.condition])
            table[material.condition] = known[material.condition].astype(object).to_numpy()
        table["n_cells"] = samples.total(np.ones(material.cells.n_obs)).astype(int)
        table["n_macrophages"] = samples.total(material.macrophages.astype(float)).astype(int)
        table["share_macrophages"] = table["n_macrophages"] / table["n_cells"]
        blocks.append(table_of(table, "Samples"))
    return Section("input", "Input and quality", tuple(blocks))


def calls(material: Material) -> Section:
    """Return the number of cells per label, the rules of the calls, and the reasons of unassigned cells."""
    blocks: list[Block] = []
    for axis, title in _TITLES.items():
        counts = counts_of(material, axis)
        table = pd.DataFrame({axis: map(pretty, counts), "n_cells": counts.values()})
        table["share"] = table["n_cells"] / max(table["n_cells"].sum(), 1)
        how = material.run.model.get(axis) if material.run.has("model") else None
        note = "Shares are of cells as called." + (f" Called by: {how}." if how else "")
        blocks.append(table_of(table.sort_values("n_cells", ascending=False, kind="stable"), title, note=note))
        if not material.has(f"{axis}_status"):
            blocks.append(Text(f"Why cells have no {axis} was not recorded."))
            continue
        status = material.labels(f"{axis}_status")
        of_axis = status if axis == "compartment" else status[material.macrophages]
        counts = {str(k): int(v) for k, v in of_axis.value_counts().items() if v}
        meaning = [REASONS.get(k, "has a label" if k == "assigned" else "") for k in counts]
        table = pd.DataFrame({"status": map(pretty, counts), "meaning": meaning, "n_cells": counts.values()})
        blocks.append(table_of(table, f"Why a cell has {'an' if axis == 'origin' else 'a'} {axis} or none"))
    return Section("calls", "Calls", (*blocks, *pictures_of(material, "calls")))


def by_sample(material: Material) -> Section:
    """Return the share of each state and origin among the macrophages of each sample, and their mean over samples."""
    samples, pictures = material.samples, pictures_of(material, "samples")
    codes = np.zeros(material.cells.n_obs, dtype=int) if samples is None else samples.codes
    kept = material.macrophages & (codes >= 0)
    names = pd.Index(("all cells",) if samples is None else samples.names)
    labels = {axis: material.labels(axis).to_numpy()[kept].astype(str) for axis in ("origin", "state")}
    cells = pd.DataFrame({"sample": pd.Categorical.from_codes(codes[kept], names), **labels})
    counts = cells.groupby(["sample", "origin", "state"], observed=True).size().rename("n").reset_index()
    if counts.empty:
        return Section("samples", "States and origins by sample", (Text("There are no macrophages."), *pictures))
    over = []
    for axis in ("state", "origin") if samples is not None else ():
        wide = counts.pivot_table(index="sample", columns=axis, values="n", aggfunc="sum", fill_value=0, observed=True)
        shares = wide.div(wide.sum(axis=1), axis=0)
        of = over_samples(shares.to_numpy())
        limits = {"low": of.low.clip(0), "high": of.high.clip(max=1), "least": shares.min(), "most": shares.max()}
        table = pd.DataFrame({"n_samples": of.n, "mean_share": of.mean} | limits)
        table.index = pd.Index([pretty(str(i)) for i in table.index], name=axis)
        table = table.sort_values("mean_share", ascending=False, kind="stable")
        over.append(table_of(table, f"{axis.capitalize()}s over samples", note=_OF_SAMPLES))
    total = counts.groupby("sample", observed=True)["n"].transform("sum").to_numpy()
    low, high = wilson(counts["n"].to_numpy(), total)
    shares = counts.assign(n_macrophages=total, share=counts["n"] / total, low=low, high=high)
    shares = shares.assign(origin=shares["origin"].map(pretty), state=shares["state"].map(pretty))
    one = table_of(shares, "State × origin by sample", note=_OF_COUNTING)
    return Section("samples", "States and origins by sample", (*over, one, *pictures))
