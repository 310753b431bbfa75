"""Pages that are files of the repository, and generated ones: the changelogs, and every command with its options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import typer.main

from tamannot.cli._main import app

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_PAGES = {
    "changelog.md": ("CHANGELOG.md", "Changes of the package"),
    "signatures_changelog.md": ("signatures/CHANGELOG.md", "Changes of the signatures"),
}


def setup(sphinx: Any) -> dict[str, Any]:
    """Write the generated pages before the sources are read."""
    sphinx.connect("config-inited", lambda *_: write_pages(_DOCS / "generated"))
    sphinx.connect("source-read", _link_outside)
    sphinx.connect("autodoc-process-docstring", _returns_as_prose, priority=400)  # before napoleon's 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path) -> None:
    """Write every generated page into a folder."""
    folder.mkdir(exist_ok=True)
    for name, (source, title) in _PAGES.items():
        body = (_ROOT / source).read_text().split("\n", 1)[1]
        (folder / name).write_text(f"# {title}\n{_rebased(body, Path(source).parent)}")
    (folder / "cli.md").write_text(cli_page())


def cli_page() -> str:
    """Return every command with its help and options, as Markdown."""
    root = typer.main.get_command(app)
    parts = ["# Command line\n", "Exit codes: 0 done; 1 a bug, with its traceback; 2 something about the input.\n"]
    parts += [_command(name, command) for name, command in _leaves(root, "tamannot")]
    return "\n".join(parts)


def _leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    children = getattr(command, "commands", None)
    if not children:
        return [(name, command)]
    return [leaf for child, inner in children.items() for leaf in _leaves(inner, f"{name} {child}")]


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}\n", f"```text\n{name} {usage}\n```\n", f"{_prose(command.help or '')}\n", "| | |", "|---|---|"]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            lines.append(f"| `{record[0]}` | {_cell(record[1])} |")
    return "\n".join(lines) + "\n"


def _prose(text: str) -> str:
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", text.strip()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _rebased(text: str, where: Path) -> str:
    """Return a page of another folder with links that hold from ``docs/generated``."""

    def moved(match: re.Match[str]) -> str:
        target = match[1]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path = (where / target).as_posix()
        return f"]({'../' + path.removeprefix('docs/') if path.startswith('docs/') else '../../' + path})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, text)


def _link_outside(_: Any, page: str, source: list[str]) -> None:
    """Show links to files that are no pages as their path: they are in the repository, not on the site."""
    here = (_DOCS / page).parent

    def shown(match: re.Match[str]) -> str:
        label, target = match[1], match[2].split("#")[0]
        if re.match(r"[a-z]+:|#", match[2]) or not target:
            return match[0]
        path = (here / target).resolve()
        if path.is_relative_to(_DOCS) and path.suffix in {".md", ".ipynb", ".png"}:
            return match[0]
        inside = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else Path(target)
        return f"{label} (`{inside}`)" if str(inside) not in label else f"`{inside}`"

    source[0] = re.sub(r"(?<!!)\[([^\]\[]+)\]\(([^)\s]+)\)", shown, source[0])


def _returns_as_prose(_: Any, __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
    """Keep what a function returns together: napoleon takes every line of a sentence for another type."""
    for head in ("Returns", "Yields"):
        if head not in lines:
            continue
        start = lines.index(head) + 2
        end = next((i - 1 for i in range(start, len(lines)) if set(lines[i]) == {"-"}), len(lines))
        if not any(line.startswith(" ") for line in lines[start:end]):
            lines[start:end] = [":", *(f"    {line}".rstrip() for line in lines[start:end])]
