"""Build what is uploaded, look into it, install the wheel in an empty environment and measure it there.

usage: python tools/check_dist.py [--keep FOLDER] [--no-install]

Needs ``pip install build twine``. Exit code 1 and what is wrong, or 0 and the sizes and times found.
"""

from __future__ import annotations

import argparse
import email
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEVER = re.compile(r"(^|/)(__pycache__|\.[^/]+_cache|\.git|\.venv[^/]*|_build|found)/|\.(pyc|nbi|nbc|h5ad\.part)$")
IN_WHEEL = (
    "tamannot/py.typed",
    "tamannot/__init__.pyi",
    "tamannot/classify/profiles.npz",
    "tamannot/classify/macrophages.tsv.gz",
    "tamannot/_data/signatures/lock.json",
    "tamannot/_data/signatures/schema.json",
    "tamannot/_data/signatures/claims.tsv",
    "tamannot/_data/signatures/human/lipid_associated/1.0.0.toml",
    "tamannot/_data/example_data/oligodendroglioma_tirosh2016.h5ad",
)
IN_SDIST = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
    "tamannot/classify/profiles.npz",
    "tamannot/classify/macrophages.tsv.gz",
    "tests/conftest.py",
    "docs/conf.py",
)
MAX_WHEEL, MAX_INSTALLED = 10, 700  # MB
IMPORT, HELP = 0.2, 0.5  # seconds, on a machine that does nothing else


def main() -> int:
    """Build, look, install, measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", help="folder for the files and the environment; a temporary one if not given")
    parser.add_argument("--no-install", action="store_true", help="look into the files only")
    with tempfile.TemporaryDirectory() as scratch:
        asked = parser.parse_args()
        folder = Path(asked.keep or scratch)
        wheel, sdist = build(folder)
        wrong = [*faults_of_wheel(wheel), *faults_of_sdist(sdist)]
        run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)])
        if not asked.no_install:
            wrong += faults_installed(installed(wheel, folder), folder)
    print("\n".join(wrong) or "nothing wrong")
    return int(bool(wrong))


def build(folder: Path) -> tuple[Path, Path]:
    """Return the wheel, built from the source archive as at upload, and the archive."""
    run([sys.executable, "-m", "build", "-q", "--outdir", str(folder), str(ROOT)])
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def faults_of_wheel(wheel: Path) -> list[str]:
    """Return what the wheel should not have, or has not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(archive.read(about).decode())
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {size:.1f} MB, {len(names)} files")
    outside = [n for n in names if not n.startswith(("tamannot/", f"tamannot-{metadata['Version']}.dist-info/"))]
    shipped = {n.removeprefix("tamannot/_data/") for n in names}
    lost = [p for p in sorted((ROOT / "signatures").rglob("*.toml")) if p.relative_to(ROOT).as_posix() not in shipped]
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        *faults_of_names(names, IN_WHEEL, wheel.name),
        *(f"{wheel.name}: {name} is outside of the package" for name in outside),
        *(f"{wheel.name}: {path.relative_to(ROOT)} is missing" for path in lost),
        *([f"{wheel.name}: {size:.1f} MB, more than {MAX_WHEEL}"] if size > MAX_WHEEL else []),
        *([f"{wheel.name}: is of version {metadata['Version']}"] if metadata["Version"] != told["version"] else []),
        *([f"{wheel.name}: has tests"] if any("/tests/" in name for name in names) else []),
    ]


def faults_of_sdist(sdist: Path) -> list[str]:
    """Return what the source archive should not have, or has not."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB, {len(names)} files")
    return faults_of_names(names, IN_SDIST, sdist.name)


def faults_of_names(names: list[str], wanted: tuple[str, ...], where: str) -> list[str]:
    """Return names that are missing, and names of caches and the like."""
    missing = [f"{where}: {name} is missing" for name in wanted if name not in names]
    return missing + [f"{where}: {name} should not be there" for name in names if NEVER.search(name)]


def installed(wheel: Path, folder: Path) -> Path:
    """Install the wheel alone in an empty environment; return its folder of scripts."""
    environment = folder / "venv"
    run([sys.executable, "-m", "venv", "--clear", str(environment)])
    run([str(environment / "bin" / "pip"), "install", "-q", str(wheel)])
    return environment / "bin"


def faults_installed(scripts: Path, folder: Path) -> list[str]:
    """Annotate the example with what was installed, and measure; times are shown, and no fault."""
    python, command = str(scripts / "python"), str(scripts / "tamannot")
    site = run([python, "-c", "import tamannot; print(tamannot.__path__[0])"], cwd=folder).strip()
    size, cached = sizes(Path(site).parent)
    example = f"{site}/_data/example_data/{Path(IN_WHEEL[-1]).name}"
    run([command, "annotate", example, "-o", "out.h5ad", "--table", "out.csv", "--overwrite"], cwd=folder)
    bare = seconds([python, "-c", ""], folder)
    print(f"installed with all it needs: {size:.0f} MB of at most {MAX_INSTALLED}, and {cached:.0f} MB of bytecode")
    print(f"import tamannot: {seconds([python, '-c', 'import tamannot'], folder) - bare:.2f} s; should be < {IMPORT}")
    print(f"tamannot --help: {seconds([command, '--help'], folder):.2f} s; should be < {HELP}")
    return [f"installed: {size:.0f} MB, more than {MAX_INSTALLED}"] if size > MAX_INSTALLED else []


def sizes(folder: Path) -> tuple[float, float]:
    """Return MB of what was unpacked, and of the bytecode that Python keeps beside it."""
    files = [f for f in folder.rglob("*") if f.is_file() and not f.is_symlink()]
    cached = sum(f.stat().st_size for f in files if f.suffix == ".pyc") / 1e6
    return sum(f.stat().st_size for f in files) / 1e6 - cached, cached


def seconds(command: list[str], folder: Path) -> float:
    """Return the median time of seven runs, after one that fills caches."""
    times = []
    for _ in range(8):
        start = time.perf_counter()
        run(command, cwd=folder)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def run(command: list[str], cwd: Path | None = None) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
