"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from tamannot.report._blocks import Embedding, Picture, Report

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
    """Return a policy under which a browser runs our script, and neither another one nor anything from outside."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(picture: Picture | Embedding) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png or b'').decode()}"


def _safe_link(link: str) -> str:
    """Return a link to the web, and nothing for any other."""
    return link if link.startswith(("https://", "http://")) else ""
