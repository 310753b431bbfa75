"""Say whether everything that names the version names the same one.

usage: python tools/check_release.py [TAG]

``pyproject.toml``, ``CHANGELOG.md``, ``CITATION.cff``, the recipes in ``packaging``, ``tests/compat``, and the tag if
given; and whether the conda recipe has the dependencies of ``pyproject.toml``. Exit code 1 and what differs, or 0.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = {
    "CHANGELOG.md": r"^## \[([0-9.]+)\] - \d{4}-\d{2}-\d{2}$",
    "CITATION.cff": r"^version: ([0-9.]+)$",
    "packaging/conda/meta.yaml": r'^{% set version = "([0-9.]+)" %}$',
    "packaging/galaxy/tamannot_annotate.xml": r'<token name="@TOOL_VERSION@">([0-9.]+)</token>',
}


def faults(root: Path, tag: str | None = None) -> list[str]:
    """Return what does not agree with pyproject.toml."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    wrong = []
    for name, pattern in NAMED.items():
        found = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if found is None or found[1] != version:
            wrong.append(f"{name}: {found[1] if found else 'no version'}, not {version}")
    if not (root / "tests" / "compat" / version).is_dir():
        wrong.append(f"tests/compat/{version}: not there; python tools/make_compat.py")
    if tag is not None and tag != f"v{version}":
        wrong.append(f"tag {tag}: not v{version}")
    return [*wrong, *dates(root), *conda_dependencies(root)]


def dates(root: Path) -> list[str]:
    """Return a fault where the citation has another date than the changelog."""
    change = re.search(NAMED["CHANGELOG.md"], (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^date-released: (\S+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if change and cited and not change[0].endswith(cited[1]):
        return [f"CITATION.cff: released {cited[1]}, not as {change[0]}"]
    return []


def conda_dependencies(root: Path) -> list[str]:
    """Return the dependencies that the conda recipe and pyproject.toml do not share."""
    wanted = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = {d.replace("matplotlib>", "matplotlib-base>") for d in wanted}
    recipe = (root / "packaging" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    run = re.search(r"^  run:\n    - python .*\n((?:    - .*\n)+)", recipe, re.MULTILINE)
    there = {line.removeprefix("    - ").replace(" ", "") for line in run[1].splitlines()} if run else set()
    return [f"packaging/conda/meta.yaml: {d} is not in both" for d in sorted(wanted ^ there)]


if __name__ == "__main__":
    found = faults(ROOT, *sys.argv[1:2])
    print("\n".join(found) or "one version everywhere")
    sys.exit(bool(found))
