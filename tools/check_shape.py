"""Whether the package keeps its size and its layers.

usage: python tools/check_shape.py [--figures]

It counts folders, files and lines below ``tamannot/``, lines of each file, and parameters of internal functions, and
asks import-linter whether a folder imports upwards. Exit 1 names what is over a limit. ``--figures`` prints all counts.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "tamannot"
MOST_FOLDERS, MOST_FILES, MOST_LINES = 12, 150, 25_000
LONGEST, SHORTEST = 400, 20
MOST_PARAMETERS = 6  # of a function that users do not call
NAMELESS = {"__init__.py", "__main__.py"}


def main(arguments: list[str]) -> int:
    """Print what is over a limit; return the exit code."""
    files = sorted(p for p in PACKAGE.rglob("*.py") if "_data" not in p.parts)
    lines = {p: p.read_text(encoding="utf-8").count("\n") for p in files}
    folders = sorted({p.parent for p in files} - {PACKAGE})
    public = _public_names()
    counts = {
        "folders": (len(folders), MOST_FOLDERS),
        "files": (len(files), MOST_FILES),
        "lines": (sum(lines.values()), MOST_LINES),
    }
    faults = [f"{n:,} {what}, at most {most:,}" for what, (n, most) in counts.items() if n > most]
    for path, n in lines.items():
        if n > LONGEST or (n < SHORTEST and path.name not in NAMELESS):
            faults.append(f"{_name(path)} has {n} lines, between {SHORTEST} and {LONGEST} are wanted")
        faults += _too_many_parameters(path, public, MOST_PARAMETERS)
    if "--figures" in arguments:
        print(*(f"{what}: {n:,} (at most {most:,})" for what, (n, most) in counts.items()), sep="\n")
        for folder in folders:
            own = [n for p, n in lines.items() if p.parent == folder]
            print(f"  {_name(folder)}: {len(own)} files, {sum(own):,} lines")
    print(*faults, sep="\n", end="\n" if faults else "")
    lint = Path(sys.executable).parent / "lint-imports"
    upwards = subprocess.run([lint, "--no-logo"], cwd=PACKAGE.parent, check=False).returncode
    return int(bool(faults) or upwards != 0)


def _too_many_parameters(path: Path, public: set[str], most: int) -> list[str]:
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    of_public = {f for c in ast.walk(tree) if isinstance(c, ast.ClassDef) and c.name in public for f in c.body}
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or node in of_public or node.name in public:
            continue
        # Commands are public; compiled kernels take plain arrays, and numba passes no containers cheaply.
        if any(d == "njit" or ".command" in d for d in map(ast.unparse, node.decorator_list)):
            continue
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        n = len([name for name in names if name not in {"self", "cls"}])
        if n > most:
            found.append(f"{_name(path)}:{node.lineno} {node.name} takes {n} parameters, at most {most}")
    return found


def _public_names() -> set[str]:
    """Return the names in the stubs, which list what users can call, and in ``datasets``, which has none."""
    stubs = [ast.parse(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.pyi")]
    datasets = ast.parse((PACKAGE / "datasets.py").read_text(encoding="utf-8"))
    names = {a.name for s in stubs for node in ast.walk(s) if isinstance(node, ast.ImportFrom) for a in node.names}
    return names | {n.name for n in datasets.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
