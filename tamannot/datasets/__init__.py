"""``tam.datasets``: the example data, and simulated cohorts."""

from tamannot.datasets._oligodendroglioma import oligodendroglioma
from tamannot.datasets._simulate import simulate

__all__ = ["oligodendroglioma", "simulate"]
