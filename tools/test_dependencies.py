"""Run the tests on the installed wheel with the oldest or the newest dependencies that are allowed.

usage: python tools/test_dependencies.py oldest|newest [--short] [--wheel FILE] [--python PYTHON] [--keep FOLDER]
       [-- PYTEST ARGUMENTS]

``oldest`` takes Python 3.11 and every direct dependency at its lower bound in pyproject.toml; ``newest`` the newest
Python found, by pyenv or on the path, and the newest of everything. Tests see the package as users get it, from the
wheel, not the checkout. Without pytest arguments all quick tests run; ``--short`` is a choice of them that touches
every dependency. Exit code 3: there is no such Python here. Needs ``pip install build uv``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDEST, NEWEST = "3.11", ("3.14", "3.13", "3.12")
NO_PYTHON = 3
# What others may be writing at the same time.
OTHERS = shutil.ignore_patterns("__pycache__", "generated", "_build")
QUICK = ["-m", "not slow", "tests", "--ignore=tests/signature/test_malformed_files.py"]
# One of each dependency, and of what was wrong with one before.
SHORT = [
    "-m",
    "not slow",
    "tests/test_compat.py",
    "tests/get/test_tables.py::TestScanpy",
    "tests/classify/test_labels.py",
    "tests/report/test_html.py",
    "tests/scoring/test_gseapy.py",
    "tests/signature/test_signature_model.py",
    "tests/stats",
    "tests/io/test_open_file.py",
]


def main() -> int:
    """Make the environment and run; return pytest's exit code."""
    given = arguments()
    base = given.python or interpreter(given.which)
    if base is None:
        print(f"no Python {OLDEST if given.which == 'oldest' else ' or '.join(NEWEST)} here; name one by --python")
        return NO_PYTHON
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        wheel = Path(given.wheel) if given.wheel else build(folder)
        python = environment(folder / "venv", base, wheel, oldest=given.which == "oldest")
        # A copy of the tests: beside the checkout its package would be imported instead of the wheel's.
        for name in ("tests", "tools", "signatures", "example_data", "docs"):
            shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=OTHERS)
        for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
            shutil.copy(ROOT / name, folder)
        return run_tests(python, folder, given.pytest or (SHORT if given.short else QUICK))


def arguments() -> argparse.Namespace:
    """Return what was asked for; all behind ``--`` is pytest's."""
    asked = sys.argv[1:]
    cut = asked.index("--") if "--" in asked else len(asked)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["oldest", "newest"])
    parser.add_argument("--short", action="store_true", help="fewer tests")
    parser.add_argument("--python", help="interpreter to use")
    parser.add_argument("--wheel", help="wheel to test; built if not given")
    parser.add_argument("--keep", help="folder for the environment; a temporary one if not given")
    given = parser.parse_args(asked[:cut])
    given.pytest = asked[cut + 1 :]
    return given


def interpreter(which: str) -> str | None:
    """Return the Python of that end: the oldest supported, or the newest found; None where there is none."""
    for version in [OLDEST] if which == "oldest" else NEWEST:
        name = f"python{version}"
        installed = sorted(Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob(f"versions/{version}*/bin"))
        for found in [*(str(f / name) for f in reversed(installed)), shutil.which(name)]:
            if found and Path(found).is_file():
                return found
    return None


def build(folder: Path) -> Path:
    """Build the wheel."""
    subprocess.run([sys.executable, "-m", "build", "-q", "--wheel", "-o", str(folder), str(ROOT)], check=True)
    return next(folder.glob("*.whl"))


def environment(folder: Path, base: str, wheel: Path, *, oldest: bool) -> Path:
    """Make an environment of the wheel and what its tests need; return its interpreter."""
    python = folder / "bin" / "python"
    uv = shutil.which("uv") or sys.exit("uv is not installed: pip install uv")
    subprocess.run([uv, "venv", "-q", "--clear", "--python", base, str(folder)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(python)]
    resolution = "lowest-direct" if oldest else "highest"
    subprocess.run(
        [*install, "--resolution", resolution, "-r", "pyproject.toml", "--extra", "test"], cwd=ROOT, check=True
    )
    subprocess.run([*install, "--no-deps", str(wheel.resolve())], check=True)
    return python


def run_tests(python: Path, folder: Path, chosen: list[str]) -> int:
    """Run pytest away from the checkout; return its exit code."""
    workers = "0" if chosen is SHORT else "2"  # each would compile what few tests need
    held = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "TAMANNOT_TEST_DATA"}}
    where = "import tamannot, sys; print(sys.version.split()[0], tamannot.__file__, flush=True)"
    subprocess.run([python, "-c", where], cwd=folder, env=held, check=True)
    return subprocess.run(
        [python, "-m", "pytest", "-q", "-n", workers, *chosen], cwd=folder, env=held, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
