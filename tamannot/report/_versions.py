"""Warnings of the run, and what it and this report were made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from tamannot._resources import package_version
from tamannot.report._blocks import Facts, Point, Points, Section, Text
from tamannot.report._material import Material
from tamannot.report._tables import pretty

_PACKAGES = ("anndata", "matplotlib", "numpy", "pandas", "scikit-learn", "scipy")


def warnings_and_versions(material: Material) -> Section:
    """Return what the run warned of, its parameters, and versions."""
    said = material.run.warnings
    noted = Points(tuple(Point("", text) for text in said)) if said else Text("The run gave no warning.")
    return Section(
        "versions",
        "Warnings, parameters and versions",
        (noted, Facts(_parameters(material)), Facts(_versions(material))),
    )


def _parameters(material: Material) -> tuple[tuple[str, str], ...]:
    parameters = sorted(material.run.parameters.items())
    rows = [(pretty(k), str(v["column"] if isinstance(v, dict) else v)) for k, v in parameters]
    return (("key", material.key), *rows)


def _annotated_with(material: Material) -> list[tuple[str, str]]:
    run = material.run
    return [("annotated with", f"tamannot {run.tamannot_version}")] if run.has("tamannot_version") else []


def _versions(material: Material) -> tuple[tuple[str, str], ...]:
    rows = [
        *_annotated_with(material),
        ("report by", f"tamannot {package_version()}"),
        ("python", platform.python_version()),
    ]
    for name in _PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(rows)
