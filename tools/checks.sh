#!/usr/bin/env bash
# The checks that need no test run: style, types, layers, size, signature files, release. One list for people and for CI.
# usage: tools/checks.sh [PYTHON=python]
set -uo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
bin=$(dirname "$(command -v "$python")")
failed=0
check() { echo "-- $*"; "$@" || failed=1; }

check "$bin/ruff" check .
check "$bin/ruff" format --check .
check "$bin/mypy"
check "$python" tools/check_shape.py
check "$bin/tamannot" signatures validate
check "$python" tools/release_signatures.py --check
check "$python" tools/check_release.py
check "$python" tools/check_dist.py --no-install
exit "$failed"
