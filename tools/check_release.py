"""Say whether everything that names the version names the same one.

usage: python tools/check_release.py [TAG]

``pyproject.toml``, ``CHANGELOG.md``, ``CITATION.cff``, ``tests/compat``, and the tag if given. Exit code 1 and what
differs, or 0.
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
    return [*wrong, *dates(root)]


def dates(root: Path) -> list[str]:
    """Return a fault where the citation has another date than the changelog."""
    change = re.search(NAMED["CHANGELOG.md"], (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^date-released: (\S+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if change and cited and not change[0].endswith(cited[1]):
        return [f"CITATION.cff: released {cited[1]}, not as {change[0]}"]
    return []


if __name__ == "__main__":
    found = faults(ROOT, *sys.argv[1:2])
    print("\n".join(found) or "one version everywhere")
    sys.exit(bool(found))
