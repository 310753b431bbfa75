"""``tam.datasets``: the example data."""

from tamannot.datasets._oligodendroglioma import oligodendroglioma

__all__ = ["oligodendroglioma"]
