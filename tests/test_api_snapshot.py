"""What the package promises stays, or changes knowingly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[1] / "tools" / "api_snapshot.py"


def test_names_signatures_slots_and_commands_are_those_promised():
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nIf this is meant:  python tools/api_snapshot.py"
