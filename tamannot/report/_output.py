"""Renders a report as a self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import jinja2
from markupsafe import Markup

from tamannot._resources import package_version
from tamannot.report._analyses import analyses, evidence, ferroptosis
from tamannot.report._blocks import Embedding, Picture, Report
from tamannot.report._cautions import cautions
from tamannot.report._embedding import overview
from tamannot.report._findings import by_sample, calls, found, input_and_quality
from tamannot.report._material import Material
from tamannot.report._methods import methods, signatures, warnings_and_versions

_TEMPLATES = Path(__file__).parent


def render(report: Report) -> str:
    """Return the HTML of a report; everything in it is escaped."""
    style, *scripts = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js", "embedding.js")
    )
    script = "\n".join(scripts)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own files
            policy=_policy(style, script),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = _data_uri
    environment.filters["safe_link"] = _safe_link
    return environment


def _policy(style: str, script: str) -> str:
    """Return a content security policy that allows only our script and nothing from outside."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(picture: Picture | Embedding) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png or b'').decode()}"


def _safe_link(link: str) -> str:
    """Return a web link, and an empty string for any other link."""
    return link if link.startswith(("https://", "http://")) else ""


def summarise(material: Material, *, title: str | None = None) -> Report:
    """Return the report on some material; with ``title`` None the heading names the data."""
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
