"""Which elements of an AnnData belong to the run under a key."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from anndata import AnnData

from tamannot.data._record import UNS
from tamannot.data._slots import runs_of, slot


def _of_call(name: str) -> tuple[str, ...]:
    return tuple(f"{name}{what}" for what in ("", "_prob", "_status", "_vote", "_vote_share"))


# What each step of an annotation writes into obs and obsm.
SLOTS_OF_STEP: dict[str, tuple[str, ...]] = {
    "compartment": _of_call("compartment"),
    "origin": (*_of_call("origin"), "origin_proba"),
    "state": (*_of_call("state"), "programs", "mixed_lineage", "dual_m1_m2", "state_proba"),
    "ferroptosis": ("ferroptosis_drive", "ferroptosis_defence", "ferroptosis_balance", "ferroptosis"),
}
_OF_SCORES = ("scores", "z", "p", "smooth")
_OF_MODEL = ("label", "prob", "status", "proba")
_SLOTS = frozenset((*_OF_SCORES, *_OF_MODEL, *(name for names in SLOTS_OF_STEP.values() for name in names)))


@dataclass(frozen=True)
class RunNames:
    """The names of obs, obsm and uns that belong to a run."""

    key: str
    others: tuple[str, ...] = ()
    """Keys of other runs whose names begin in the same way: ``tam_v2`` beside ``tam``."""
    also: tuple[str, ...] = ()
    """Keys of runs that were made together with it: ``tam_model``, the labels of a model."""

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


def forget_run(adata: AnnData, key: str) -> None:
    """Remove what an earlier run wrote under a key; columns of the user's stay, whatever their names."""
    if key in runs_of(adata):
        _remove(adata, names_of_run(adata, key), _SLOTS)
        adata.uns[UNS] = {k: record for k, record in runs_of(adata).items() if k != key}


def forget_steps(adata: AnnData, key: str, steps: Iterable[str]) -> None:
    """Remove the labels of some steps of an annotation, with their probabilities, votes and colours."""
    _remove(adata, names_of_run(adata, key), {name for step in steps for name in SLOTS_OF_STEP[step]})


def _remove(adata: AnnData, names: RunNames, slots: Collection[str]) -> None:
    gone = [c for c in adata.obs if names.wrote(str(c), slots)]
    if gone:
        adata.obs = adata.obs.drop(columns=gone)
    for mapping in (adata.obsm, adata.uns):
        for name in [n for n in mapping if names.wrote(n, slots)]:
            del mapping[name]
