"""The report: one HTML file from an annotated object."""

from tamannot.report._blocks import Report
from tamannot.report._html import render, summarise
from tamannot.report._material import InMemory, Material, Source, material_of

__all__ = ["InMemory", "Material", "Report", "Source", "material_of", "render", "summarise"]
