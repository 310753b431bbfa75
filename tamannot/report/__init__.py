"""The report of an annotated object: HTML, and its figures and tables as files."""

from tamannot.report._blocks import Report
from tamannot.report._material import Material, material_of
from tamannot.report._output import export, is_export, render, summarise

__all__ = ["Material", "Report", "export", "is_export", "material_of", "render", "summarise"]
