"""Words of the command line: a message and exit code 2, or a run."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from _choices import Choices
from _fuzz import FindingError, as_folder, instrumented, main

instrumented("tamannot.cli")

import tamannot.io
from tamannot._resources import resource_path
from tamannot.cli._main import app
from tamannot.cli._main import main as command
from tamannot.errors import ParameterError

_COMMANDS = (
    "annotate",
    "score",
    "train",
    "report",
    "check",
    "signatures",
    "list",
    "show",
    "validate",
    "export",
    "diff",
)
_FILES = ("in.h5ad", "in.zarr", "a.gmt", "b.toml", "x.npz", "out.h5ad", "t.csv", "r.html", "log.json", "folder", "")
_WORDS = (
    "0",
    "-1",
    "1",
    "0.5",
    "nan",
    "inf",
    "1e999",
    "9" * 30,
    "human",
    "ucell",
    "brain",
    "-",
    "--",
    "=",
    "m1",
    "state",
)
_OPTIONS = sorted({word for known in app.registered_commands for word in (known.callback.__annotations__ or ())})
_GMT = (resource_path("signatures") / "exports").glob("*.gmt")
_CONTENT = {
    "in.h5ad": b"no HDF5",
    "a.gmt": next(iter(p.read_bytes()[:3000] for p in _GMT), b"a\t\tCD68\n"),
    "b.toml": b"x",
}


def seeds() -> list[bytes]:
    return [bytes(range(start, start + 24)) for start in range(0, 240, 24)]


def one(data: bytes) -> None:
    choices = Choices(data)
    with as_folder(_CONTENT, ".words") as folder:
        words = [choices.pick(_COMMANDS)]
        while not choices.done() and len(words) < 12:
            words.append(_word(choices, folder))
        _run(words)


def _word(choices: Choices, folder: Path) -> str:
    way = choices.byte() % 5
    if way == 0:
        return str(folder / choices.pick(_FILES))
    if way == 1:
        return "--" + choices.pick(_OPTIONS).replace("_", "-") + choices.pick(("", "", "=", "=1"))
    if way == 2:
        return choices.pick(("-o", "-q", "-j", "-h", "-x", "--json", "--null", "--table", "--out", "--overwrite"))
    return choices.pick(_WORDS) if way == 3 else choices.text(12)


def _run(words: list[str]) -> None:
    def stopped(*_: object, **__: object) -> None:
        msg = "nothing is run here"
        raise ParameterError(msg)

    out, err, code = io.StringIO(), io.StringIO(), 0
    runs = dict.fromkeys(("annotate_file", "score_file", "train_file", "report_file"), stopped)
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", ["tamannot", *words]):
        try:
            with mock.patch.multiple(tamannot.io, **runs), mock.patch("tamannot.cli._many.annotate_many", stopped):
                command()
        except SystemExit as stop:
            code = int(stop.code or 0)
    said = out.getvalue() + err.getvalue()
    if code not in (0, 2) or "Traceback" in said or not all(c.isprintable() or c == "\n" for c in said):
        msg = f"{words}: exit code {code}: {said[:500]!r}"
        raise FindingError(msg)


if __name__ == "__main__":
    main(one, seeds())
