"""Which elements of an AnnData belong to the run under a key, so that a new run replaces it as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from anndata import AnnData

from tamannot._adata._slots import UNS, slot

_CALLS = ("compartment", "origin", "state")
_OBS = (
    *(f"{call}{what}" for call in _CALLS for what in ("", "_prob", "_status")),
    "programs",
    "mixed_lineage",
    "dual_m1_m2",
    "ferroptosis_drive",
    "ferroptosis_defence",
    "ferroptosis_balance",
    "label",
    "prob",
    "status",
)
_OBSM = ("scores", "z", "p", "smooth", "origin_proba", "state_proba", "ferroptosis", "proba")
_COLORS = tuple(f"{name}_colors" for name in _OBS)


@dataclass(frozen=True)
class RunNames:
    """The names of obs, obsm and uns that belong to a run."""

    key: str
    others: tuple[str, ...] = ()
    """Keys of other runs whose names begin in the same way: ``tam_v2`` beside ``tam``."""

    def owns(self, name: str) -> bool:
        """Whether a name begins with the key, and not with that of another run."""
        return name.startswith(slot(self.key, "")) and not name.startswith(tuple(slot(k, "") for k in self.others))

    def wrote(self, name: str) -> bool:
        """Whether a name is one that runs write: others under the same prefix are the user's."""
        return self.owns(name) and name.removeprefix(slot(self.key, "")) in (*_OBS, *_OBSM, *_COLORS)

    def fresh(self, had: Collection[str], have: Iterable[str]) -> list[str]:
        """Return the names to be written: what the run wrote, and what the source had not."""
        return [n for n in have if self.owns(n) and (self.wrote(n) or n not in had)]

    def dropped(self, had: Iterable[str], have: Collection[str]) -> set[str]:
        """Return the names of the source that are not taken over: written anew, or gone since."""
        return {n for n in had if self.owns(n) and (self.wrote(n) or n not in have)}


def names_of_run(adata: AnnData, key: str) -> RunNames:
    """Return the names that belong to the run under a key."""
    return RunNames(key, tuple(k for k in _runs(adata) if k.startswith(slot(key, ""))))


def forget_run(adata: AnnData, key: str, *, keep: Iterable[str | None] = ()) -> None:
    """Remove what an earlier run wrote under a key; columns of the user's stay, whatever their names.

    Parameters
    ----------
    adata
        Changed in place if it has the record of such a run.
    key
        The ``key_added`` of the run.
    keep
        Columns of obs that stay, since a new run reads them.
    """
    if key not in _runs(adata):
        return
    names = names_of_run(adata, key)
    adata.obs = adata.obs.drop(columns=[c for c in adata.obs if names.wrote(str(c)) and c not in set(keep)])
    for name in [n for n in adata.obsm if names.wrote(n)]:
        del adata.obsm[name]
    for name in [n for n in adata.uns if names.wrote(n)]:
        del adata.uns[name]
    adata.uns[UNS] = {k: record for k, record in _runs(adata).items() if k != key}


def _runs(adata: AnnData) -> Mapping[str, object]:
    runs = adata.uns.get(UNS, {})
    return runs if isinstance(runs, Mapping) else {}
