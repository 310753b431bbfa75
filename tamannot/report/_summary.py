"""The report of an annotated data set as plain data."""

from __future__ import annotations

from datetime import UTC, datetime

from tamannot._resources import package_version
from tamannot.report._analyses import analyses
from tamannot.report._blocks import Report
from tamannot.report._by_sample import by_sample
from tamannot.report._calls import calls
from tamannot.report._cautions import cautions
from tamannot.report._embedding import overview
from tamannot.report._evidence import evidence
from tamannot.report._ferroptosis import ferroptosis
from tamannot.report._found import found
from tamannot.report._input import input_and_quality
from tamannot.report._material import Material
from tamannot.report._methods import methods
from tamannot.report._signatures import signatures
from tamannot.report._versions import warnings_and_versions


def summarise(material: Material, *, title: str | None = None) -> Report:
    """Return all that a report says of some material; ``title`` None names the data."""
    sections = (
        found(material),
        cautions(material),
        input_and_quality(material),
        calls(material),
        by_sample(material),
        ferroptosis(material),
        *analyses(material),
        evidence(material),
        signatures(material),
        methods(material),
        warnings_and_versions(material),
    )
    made = f"{datetime.now(UTC):%Y-%m-%d}, tamannot {package_version()}"
    heading = title or f"Macrophages of {material.name}"
    return Report(heading, material.name, made, tuple(s for s in sections if s is not None), overview(material))
