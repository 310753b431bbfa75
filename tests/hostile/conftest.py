"""The command line in a process of its own, with what it needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import pytest

import tamannot as tam

_RUN = """
import re, sys
from pathlib import Path
sys.argv = sys.argv[1:]
from tamannot.cli import main
code = 0
try:
    main()
except SystemExit as stop:
    code = int(stop.code or 0)
print("\\nPEAK", re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    peak: int
    """The most memory it held, in bytes."""

    @property
    def message(self) -> str:
        """The one line that it said."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def tamannot() -> Callable[..., Ended]:
    """Run a command to its end."""

    def run(*words: object) -> Ended:
        command = [sys.executable, "-c", _RUN, "tamannot", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=os.environ)
        peak = re.search(r"\nPEAK (\d+)\n", done.stderr)
        err = done.stderr.replace(peak[0], "") if peak else done.stderr
        return Ended(done.returncode, done.stdout, err, int(peak[1]) * 1024 if peak else 0)

    return run


@pytest.fixture
def tiny(tiny: ad.AnnData) -> ad.AnnData:
    """The twelve cells with genes that tell a macrophage among theirs: without, a check refuses them."""
    macrophage = [g.symbol for g in tam.load_signature("macrophage_tam").genes if g.symbol not in tiny.var_names]
    tiny.var_names = [*macrophage[:4], *tiny.var_names[4:]]
    return tiny


@pytest.fixture
def source(tiny: ad.AnnData, tmp_path: Path) -> Path:
    """A good file of twelve cells."""
    tiny.obs["patient"] = ["p", "q"] * 6
    tiny.write_h5ad(tmp_path / "in.h5ad", compression="gzip")
    return tmp_path / "in.h5ad"
