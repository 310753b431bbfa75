"""No network, no code from data: by what runs, and by what the source says."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

import tamannot as tam

SOURCE = Path(tam.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
NEVER_IMPORTED = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code", "codeop", "runpy", "imp"),
    *("urllib", "http", "ftplib", "smtplib", "telnetlib", "requests", "httpx", "aiohttp", "urllib3", "fsspec", "pooch"),
    *("subprocess", "pty", "xml", "yaml"),
}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "input", "breakpoint"}
NEVER_METHODS = {"system", "popen", "read_pickle", "to_pickle", "eval", "mktemp"}
# gethostname reads a name of this machine; sockets are not made.
MAY_USE_SOCKET = {"io/_output.py": {"gethostname"}}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_forbidden(node: ast.AST, name: str) -> bool:
    """Whether a node of a file's tree runs data as code or reaches out."""
    if isinstance(node, ast.Import):
        return bool({a.name.partition(".")[0] for a in node.names} & NEVER_IMPORTED)
    if isinstance(node, ast.ImportFrom) and not node.level:
        return (node.module or "").partition(".")[0] in NEVER_IMPORTED
    if isinstance(node, ast.Call):
        told = {w.arg: w.value.value if isinstance(w.value, ast.Constant) else None for w in node.keywords}
        return (
            (isinstance(node.func, ast.Name) and node.func.id in NEVER_CALLED)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in NEVER_METHODS)
            or any(told.get(word, False) is not False for word in ("allow_pickle", "shell"))
        )
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "socket":
        return node.attr not in MAY_USE_SOCKET.get(name, set())
    return False


def test_the_source_has_no_way_to_run_data_or_to_reach_out():
    named = [(path.relative_to(SOURCE).as_posix(), path) for path in FILES]
    assert len(named) > 50
    found = [(n, ast.unparse(node)) for n, path in named for node in ast.walk(tree(path)) if is_forbidden(node, n)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        *(
            "import pickle",
            "from urllib import request",
            "import xml.etree.ElementTree",
            "eval('1')",
            "os.system('ls')",
        ),
        *("np.load('x', allow_pickle=True)", "run('x', shell=flag)", "socket.create_connection(('a', 1))"),
    ],
)
def test_a_way_out_in_the_source_is_seen(source):
    assert any(is_forbidden(node, "x.py") for node in ast.walk(ast.parse(source)))


@pytest.fixture
def offline(monkeypatch):
    """Make whatever opens or asks for a connection fail."""

    def refuse(*_: object, **__: object) -> None:
        msg = "the network was asked for"
        raise AssertionError(msg)

    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.usefixtures("offline")
def test_commands_work_without_a_network(run, example_file, tmp_path):
    assert run("check", example_file)[0] == 0
    assert run("annotate", example_file, "-o", tmp_path / "o.h5ad", "--table", tmp_path / "t.csv")[0] == 0
    assert run("score", example_file, "-o", tmp_path / "s.zarr", "--null")[0] == 0
    assert run("train", example_file, "--labels", "author_label", "-o", tmp_path / "m.npz")[0] == 0
    assert run("signatures", "list")[0] == 0
    assert run("signatures", "validate", SOURCE.parent / "signatures" / "human" / "m1")[0] in (0, 2)
    tam.load_model(tmp_path / "m.npz").predict(tam.datasets.oligodendroglioma(), copy=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.usefixtures("offline", "quick_pictures")
def test_analyses_and_reports_work_without_a_network(run, request, tmp_path):
    cells = tam.datasets.simulate(60, n_samples=4, n_genes=3000, composition={"macrophage": 0.8, "t_nk": 0.2})
    tam.tl.annotate(cells, sample_key="sample")
    quick = {"method": "permutation", "n_permutations": 20}
    tam.tl.enrich(cells, "truth_state", sample_key="sample", signatures="state", **quick)
    tam.tl.composition(cells, "sample", condition="condition")
    tam.tl.claims(cells, "sample")
    tam.write_report(cells, tmp_path / "memory.html", sample_key="sample", condition="condition")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    request.getfixturevalue("without_pictures")  # they are those of the report above
    code, _, err = run("report", tmp_path / "cells.h5ad", "-o", tmp_path / "file.html")
    assert code == 0, err


@pytest.mark.parametrize("word", ["http://127.0.0.1:9/x.gmt", "https://example.org/x.toml", "ftp://x/y.json"])
@pytest.mark.usefixtures("offline")
def test_addresses_are_names_of_files_that_are_not_there(word, tmp_path):
    with pytest.raises(tam.errors.TamannotError):
        tam.read_signatures(word)
    with pytest.raises(tam.errors.TamannotError):
        tam.load_model(word)
    with pytest.raises(tam.errors.TamannotError):
        tam.annotate_file(word, tmp_path / "o.h5ad")
