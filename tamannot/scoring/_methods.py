"""Methods by name."""

from __future__ import annotations

from collections.abc import Callable

from tamannot.errors import ParameterError, among
from tamannot.scoring._aucell import AUCell
from tamannot.scoring._gseapy import GSVA, SSGSEA
from tamannot.scoring._mean import WeightedMean
from tamannot.scoring._module import ModuleScore
from tamannot.scoring._ucell import UCell

Method = UCell | AUCell | ModuleScore | WeightedMean | SSGSEA | GSVA

METHODS: dict[str, Callable[[], Method]] = {
    "ucell": UCell,
    "ucell_legacy": lambda: UCell(variant="legacy"),
    "aucell": AUCell,
    "aucell_pyscenic": lambda: AUCell(variant="pyscenic"),
    "module": ModuleScore,
    "mean": WeightedMean,
    "ssgsea": SSGSEA,
    "gsva": GSVA,
}


def method_of(method: Method | str) -> Method:
    """Return the settings of a method given by name or as they are.

    Raises
    ------
    ParameterError
        No such method.
    """
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        msg = f"No method {method!r}.{among(str(method), METHODS)} Or give settings such as UCell(max_rank=500)."
        raise ParameterError(msg)
    return METHODS[method]()
