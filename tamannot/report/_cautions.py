"""Caveats: reasons for caution in these data, and the limits of all such data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.stats

from tamannot.errors import some_of
from tamannot.pl._style import pretty
from tamannot.report._blocks import Point, Points, Section, Text, percent
from tamannot.report._material import Material, cells_with, counts_of, share_with

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
    low = table.loc[table["coverage"] < 0.5, "coverage"].sort_values(kind="stable")
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


def _programs(material: Material) -> Iterator[Point]:
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


_CHECKS = (_few, _coverage, _unassigned, _batch, _programs)
