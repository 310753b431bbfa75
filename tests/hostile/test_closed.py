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


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_source_has_no_way_to_run_data_or_to_reach_out(path):
    used = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            used |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            used.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call):
            called = node.func
            assert not (isinstance(called, ast.Name) and called.id in NEVER_CALLED), ast.unparse(node)
            assert not (isinstance(called, ast.Attribute) and called.attr in NEVER_METHODS), ast.unparse(node)
            for word in node.keywords:
                told = word.value.value if isinstance(word.value, ast.Constant) else None
                assert not (word.arg in ("allow_pickle", "shell") and told is not False), ast.unparse(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "socket":
            assert node.attr in MAY_USE_SOCKET.get(path.relative_to(SOURCE).as_posix(), set())
    assert not used & NEVER_IMPORTED


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
    assert run("signatures", "validate", SOURCE.parent / "signatures")[0] in (0, 2)
    tam.load_model(tmp_path / "m.npz").predict(tam.datasets.oligodendroglioma(), copy=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.usefixtures("offline", "quick_pictures")
def test_analyses_and_reports_work_without_a_network(run, tmp_path):
    cells = tam.datasets.simulate(60, n_samples=4, n_genes=2000, composition={"macrophage": 0.8, "t_nk": 0.2})
    tam.tl.annotate(cells, sample_key="sample")
    quick = {"method": "permutation", "n_permutations": 20}
    tam.tl.enrich(cells, "truth_state", sample_key="sample", signatures="state", **quick)
    tam.tl.composition(cells, "sample", condition="condition")
    tam.tl.claims(cells, "sample")
    tam.write_report(cells, tmp_path / "memory.html", sample_key="sample", condition="condition")
    cells.write_h5ad(tmp_path / "cells.h5ad")
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
