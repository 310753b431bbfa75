"""A report as a self-contained HTML file, and its figures and tables as files."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from tamannot._resources import package_version
from tamannot.errors import TamannotWarning, tell
from tamannot.report._analyses import analyses, evidence, ferroptosis
from tamannot.report._blocks import Picture, Report, Table
from tamannot.report._embedding import overview
from tamannot.report._findings import by_sample, calls, cautions, found, input_and_quality
from tamannot.report._material import Material
from tamannot.report._methods import methods, signatures, warnings_and_versions

_TEMPLATES = Path(__file__).parent
# What a workbook cannot hold: control characters, more rows, longer names of sheets.
_NOT_IN_EXCEL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MOST_ROWS, _LONGEST = 1_048_575, 31
_TSV: dict[str, Any] = {"sep": "\t", "index": False, "errors": "backslashreplace"}
_CONTENTS, _WORKBOOK = "contents.tsv", "tables.xlsx"


def render(report: Report) -> str:
    """Return the HTML of a report; everything in it is escaped."""
    style, *scripts = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js", "embedding.js")
    )
    script = "\n".join(scripts)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = lambda picture: f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    # Of links those of the web.
    environment.filters["safe_link"] = lambda link: link if link.startswith(("https://", "http://")) else ""
    # Only our script runs, and nothing is loaded from outside.
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    policy = (
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; "
        "base-uri 'none'; form-action 'none'"
    ).format(*hashes)
    parts = {"style": Markup(style), "script": Markup(script)}  # noqa: S704 - our own files
    return environment.get_template("report.html.j2").render(report=report, policy=policy, **parts)


def summarise(material: Material, *, title: str | None = None) -> Report:
    """Return the report on some material; with ``title`` None the heading names the data."""
    first = (overview, found, cautions, input_and_quality, calls, by_sample, ferroptosis)
    last = (evidence, signatures, methods, warnings_and_versions)
    sections = (*(part(material) for part in first), *analyses(material), *(part(material) for part in last))
    made = f"{datetime.now(UTC):%Y-%m-%d}, tamannot {package_version()}"
    heading = title or f"Macrophages of {material.name}"
    return Report(heading, material.name, made, tuple(s for s in sections if s is not None))


def export(report: Report, folder: Path) -> None:
    """Write figures (SVG), whole tables (TSV) and their list into an empty folder; with openpyxl also a workbook."""
    files: dict[str, tuple[str, str, str]] = {}
    tables: dict[str, pd.DataFrame] = {}
    for section in report.sections:
        for block in section.blocks:
            if not (isinstance(block, Table) or (isinstance(block, Picture) and block.svg)):
                continue
            name = f"{section.name}_{re.sub('[^a-z0-9]+', '-', block.title.lower())[:60].strip('-')}"
            suffix = ".tsv" if isinstance(block, Table) else ".svg"
            while name + suffix in files:
                name += "-2"
            files[name + suffix] = section.title, block.title, block.note
            if isinstance(block, Table):
                tables[name] = block.frame
                block.frame.to_csv(folder / f"{name}.tsv", **_TSV)
            else:
                (folder / f"{name}.svg").write_bytes(block.svg)
    contents = pd.DataFrame([(n, *said) for n, said in files.items()], columns=["file", "section", "title", "note"])
    contents.to_csv(folder / _CONTENTS, **_TSV)
    if find_spec("openpyxl") is None:
        msg = f"{_WORKBOOK} was not written, because it needs openpyxl:  pip install 'tamannot[excel]'"
        tell({msg: TamannotWarning})
        return
    with pd.ExcelWriter(folder / _WORKBOOK, engine="openpyxl") as book:
        for i, (name, table) in enumerate([("contents", contents), *tables.items()]):
            sheet = f"{i} {name}"[:_LONGEST]
            safe = table.head(_MOST_ROWS).map(lambda v: _NOT_IN_EXCEL.sub("", v) if isinstance(v, str) else v)
            safe.rename(columns=lambda c: _NOT_IN_EXCEL.sub("", c)).to_excel(book, sheet_name=sheet, index=False)
            for row in book.sheets[sheet].iter_rows():
                for cell in row:  # text that begins with '=' stays text
                    cell.data_type = "s" if cell.data_type == "f" else cell.data_type


def is_export(folder: Path) -> bool:
    """Return whether a folder has only files of an export, so that another export may replace it."""
    try:
        listed = (folder / _CONTENTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        listed = []
    return {path.name for path in folder.iterdir()} <= {_CONTENTS, _WORKBOOK, *(n.split("\t")[0] for n in listed)}
