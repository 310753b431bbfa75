"""What was found, in five sentences."""

from __future__ import annotations

from collections.abc import Mapping

from tamannot.report._blocks import Section, Text
from tamannot.report._counts import counts_of, reasons_of
from tamannot.report._material import Material
from tamannot.report._programs import share_with
from tamannot.report._tables import percent, pretty
from tamannot.signature import load_signatures

_NO_LABEL = ("unassigned", "not_macrophage")
_FEW = 5


def found(material: Material) -> Section:
    """Return the first section: cells, origins, states, who has no label, and how sure that is."""
    sentences = (_cells, _origins, _states, _programs, _sureness)
    return Section("found", "What was found", tuple(Text(sentence(material)) for sentence in sentences))


def _cells(material: Material) -> str:
    n, n_obs = int(material.macrophages.sum()), material.cells.n_obs
    samples = material.samples
    where = "" if samples is None else f" of {_many(len(samples.names), 'sample')}"
    others = counts_of(material, "compartment", of="all")
    named = {k: v for k, v in others.items() if k not in ("macrophage", *_NO_LABEL)}
    rest = f"; the most frequent others are {_listed(named, n_obs, 3)}" if named else ""
    return f"Of {_many(n_obs, 'cell')}{where}, {n:,} ({percent(n / max(n_obs, 1))}) are macrophages{rest}."


def _origins(material: Material) -> str:
    return _calls(material, "origin", "By origin, which is resemblance and not lineage,")


def _states(material: Material) -> str:
    return _calls(material, "state", "By state,")


def _calls(material: Material, axis: str, begin: str) -> str:
    counts = counts_of(material, axis, of="macrophages")
    n = sum(counts.values())
    if not n:
        return f"{begin} there is nothing to say: there are no macrophages."
    named = {k: v for k, v in counts.items() if k not in _NO_LABEL}
    said = f"{_listed(named, n, _FEW)} of the macrophages" if named else "no macrophage has a label"
    left = counts.get("unassigned", 0)
    if not left:
        return f"{begin} there are {said}; none is left unassigned."
    why = reasons_of(material, axis)
    because = "; ".join(f"{percent(v / n)} {reason}" for reason, v in why.items())
    return f"{begin} there are {said}; {percent(left / n)} are unassigned ({because})."


def _programs(material: Material) -> str:
    if not material.has("programs") or not material.macrophages.any():
        return "No programs beside the states were looked for."
    overlays = {name: share_with(material, name) for name in _overlays(material)}
    most = sorted((item for item in overlays.items() if item[1] > 0), key=lambda item: -item[1])
    if not most:
        return "None of the programs that lie over states (hypoxia, proliferation, stress of dissociation) stands out."
    said = ", ".join(f"{pretty(name)} in {percent(share)}" for name, share in most)
    return f"Of the programs that may lie over any state, these stand out in macrophages (p < 0.01): {said}."


def _overlays(material: Material) -> list[str]:
    if not material.run.has("signatures"):  # lost in joining: those of the library
        return list(load_signatures(axis="overlay"))
    signatures = material.run.signatures
    return [str(i) for i in signatures.index[signatures["axis"].astype(str) == "overlay"]]


def _sureness(material: Material) -> str:
    run = material.run
    if not run.has("model"):
        return "The record that says how sure origin and state are is not in these data."
    said = []
    if "origin" in run.model:
        said.append("origin is called by how z of the origins differ")
    if "state" in run.model:
        whose = "a model's cells" if "kind" in run.model else "these cells"
        by = f" and by a classifier trained on {whose}" if "state" in run.learned else ""
        said.append(f"state is called by the activity of signatures{by}")
    if not said:
        return "Origin and state were not called."
    return f"How sure: {'; '.join(said)}; their probabilities were not checked on tissue of known truth."


def _listed(counts: Mapping[str, int], n: int, most: int) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{pretty(name)} {count:,} ({percent(count / max(n, 1))})" for name, count in ranked)


def _many(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"
