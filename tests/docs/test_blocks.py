"""Every block of the docs runs as it stands: Python and shell, page by page, in a folder of its own.

Blocks of a page run one after the other in one session, which begins with ``import tamannot as tam``; commands run in
the same process, unless they need a shell. A comment ``<!-- run before: … -->`` holds Python that readers need not see,
such as the making of a file; ``<!-- not run: reason -->`` before a block leaves it out. Notebooks hold no output: the
build of the site runs them, and fails where a cell does."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import tamannot as tam
from tamannot.cli import main

ROOT = Path(__file__).parents[2]


BLOCK = re.compile(
    r"^<!-- run before:\n(?P<before>.*?)^-->"
    r"|(?P<skip>^<!-- not run: [^>]+ -->\n\n?)?"
    r"^```(?P<language>python|bash)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and code of what is to be run."""
    found = []
    for match in BLOCK.finditer(page.read_text()):
        if match["before"] is not None:
            found.append(("python", match["before"]))
        elif match["skip"] is None:
            found.append((match["language"], match["code"]))
    return found


PAGES = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if not {"generated", "catalogue", "_build"} & set(page.parts) and blocks(page)
]


# Many commands and reports; what they show is tested in tests/cli, tests/tl and tests/report.
HEAVY = ("report.md", "pipelines.md", "howto/command_line.md", "howto/walkthroughs.md")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


@pytest.fixture
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what pages set for all that follows."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    for name in ("progress", "threads", "verbosity"):
        monkeypatch.setattr(tam.settings, name, getattr(tam.settings, name))
    kept = ("display.float_format", "display.max_colwidth")
    with pd.option_context(*(word for name in kept for word in (name, pd.get_option(name)))):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_as_before", "without_pictures")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.nightly] * (name_of(p) in HEAVY), id=name_of(p)) for p in PAGES],
)
def test_blocks_run(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any("pp.neighbors(" in code for _, code in blocks(page)):
        request.getfixturevalue("umap_kept")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tamannot.pl._style._arrange", lambda *_: None)  # it takes most of the time of a figure
    names: dict[str, object] = {"__name__": "__main__", "tam": tam}
    for language, code in blocks(page):
        if language == "python":
            run_in_session(code, page, names)
        elif (lines := plain(code)) is None:
            run_in_shell(code, tmp_path)
        else:
            for words in lines:
                run_here(words, page, monkeypatch)
    plt.close("all")


def run_in_session(code: str, page: Path, names: dict[str, object]) -> None:
    """Run Python after what ran before it on the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, str(page), "exec"), names)  # noqa: S102 - the blocks are ours


def plain(code: str) -> list[list[str]] | None:
    """Split a block into the words of its commands; None if one of them needs a shell."""
    found, text = [], ""
    for line in code.replace("\\\n", " ").splitlines(keepends=True):
        text += line
        try:
            words = shlex.split(text, comments=True)
        except ValueError:  # a quotation goes on in the next line
            continue
        text = ""
        ours = words[:1] == ["tamannot"] and not re.search(r"[*?|<>&;$`~]", " ".join(words))
        if ours or (words[:2] == ["python", "-c"] and len(words) == 3):
            found.append(words)
        elif words:
            return None
    return found


def run_here(words: list[str], page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command as a process of its own would, and expect its exit code to be 0."""
    if words[0] == "python":
        run_in_session(words[2], page, {"__name__": "__main__"})
        return
    with monkeypatch.context() as patch, warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
        warnings.simplefilter("ignore")
        patch.setattr(sys, "argv", words)
        main()
    assert not stop.value.code, words


def run_in_shell(code: str, folder: Path) -> None:
    """Run commands where ``python`` and ``tamannot`` are those of the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_a_shell_runs_what_is_not_one_plain_command_a_line() -> None:
    assert plain("tamannot check 'a b' \\\n    --json  # a comment\n\npython -c '\nx = 1 | 2\n'\n") == [
        ["tamannot", "check", "a b", "--json"],
        ["python", "-c", "\nx = 1 | 2\n"],
    ]
    for code in ("tamannot check *.h5ad", "tamannot check a > b", "ls\n", "python a.py", "tamannot a\ntamannot b | wc"):
        assert plain(code) is None, code


def test_the_pages_that_new_users_need_have_blocks() -> None:
    names = set(map(name_of, PAGES))
    needed = {
        "start.md",
        "howto/walkthroughs.md",
        "howto/own_signatures.md",
        "models.md",
        "comparing.md",
    }
    assert needed <= names


def test_every_block_is_found() -> None:
    for page in PAGES:
        text = page.read_text()
        fences = re.findall(r"^```(?:python|bash)$|^<!-- run before:$", text, re.MULTILINE)
        assert len(blocks(page)) + text.count("<!-- not run:") == len(fences), page


def test_no_block_is_left_out_without_a_reason() -> None:
    for page in PAGES:
        left_out = re.findall(r"<!-- not run: ([^>]+) -->", page.read_text())
        assert all(len(reason) > 10 for reason in left_out), page


NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def code_cells(notebook: Path) -> list[dict[str, object]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_three_notebooks_without_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["cohort", "signatures_and_models", "states_and_origins"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for n in NOTEBOOKS for cell in code_cells(n))


def test_the_site_runs_the_notebooks_wherever_it_is_built() -> None:
    conf = (ROOT / "docs/conf.py").read_text(encoding="utf-8")
    assert re.search(r'^nb_execution_mode = "cache"\nnb_execution_raise_on_error = True$', conf, re.MULTILINE)
    # Absent where the tests run away from the checkout.
    for file in (ROOT / ".ci/run", *(ROOT / ".github/workflows").glob("*.yml")):
        assert not file.is_file() or "nb_execution" not in file.read_text(encoding="utf-8"), file


# The threat model names tests that there are.


PAGE = (ROOT / "docs/threat_model.md").read_text(encoding="utf-8")


def test_every_test_named_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    missing = [f"{path}::{name}" for path, name in named if f"\ndef {name}(" not in (ROOT / path).read_text()]
    assert not missing


def test_every_hostile_file_is_named():
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/hostile").glob("test_*.py")}
    assert not {path for path in files if path not in PAGE}
