"""Feed broken input to every reader: ``python fuzz/run.py [--seconds 180 | --runs 100000] [NAME…]``.

Exits with 1 if a reader lets out anything but an error of ours. Inputs that did so are kept in ``fuzz/found``;
``python fuzz/NAME.py FILE`` runs one of them again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = sorted(p.stem for p in HERE.glob("read_*.py"))


def main() -> int:
    words = sys.argv[1:]
    names = [w.removesuffix(".py") for w in words if w.removesuffix(".py") in TARGETS]
    rest = [w for w in words if w.removesuffix(".py") not in TARGETS]
    if unknown := [w for w, before in zip(rest, ["", *rest], strict=False) if w[:1] != "-" and before[:2] != "--"]:
        print(f"no target {unknown[0]}; there are: {', '.join(TARGETS)}")
        return 2
    failed = []
    for name in names or TARGETS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py"), *rest], check=False).returncode:
            failed.append(name)
    print(f"findings in: {', '.join(failed)}" if failed else "nothing found")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
