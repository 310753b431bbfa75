"""Runs a reader on broken inputs: with atheris, guided by coverage, if it is installed; else with plain mutations.

A target is a module with ``seeds()``, which returns good inputs as bytes, and ``one(data)``, which feeds an input to a
reader and raises `FindingError`, or whatever the reader lets out, if something else happens than what is documented.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import pkgutil
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tamannot import scoring
from tamannot._settings import settings
from tamannot.errors import TamannotError

HERE = Path(__file__).parent
FOUND = HERE / "found"
_LONGEST = 1 << 16
_LONGEST_MESSAGE = 5000
# An input that takes longer than this, in seconds, is a finding.
_SLOW = 20.0
_ODD = [0, 1, 9, 10, 13, 27, 34, 44, 46, 47, 58, 91, 92, 93, 123, 125, 127, 128, 192, 237, 255]
_WORDS = [
    *(
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\x1b[2J",
        "\u202e".encode(),
        "\u2028".encode(),
    ),
    *(b"nan", b"-inf", b"1e999", b"-0", b"9" * 400, b"null", b"true", b"{}", b"[]", b'""', b"[" * 300, b"{a=" * 100),
    *(b"../", b"/etc/passwd", b"__proto__", b"=1+1", b"\t", b"\r", b"\n\n", b'"""', b",", b";", b"@", b"_UP", b"_DN"),
]


class FindingError(Exception):
    """Something that is not documented."""


@contextmanager
def only_our_errors() -> Iterator[None]:
    """Let documented errors pass; those whose message would harm a terminal, or has no end, are findings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except TamannotError as error:
            said = str(error)
            if not all(c.isprintable() for c in said):
                msg = f"a message with control characters: {said!r}"
                raise FindingError(msg) from error
            if not said or len(said) > _LONGEST_MESSAGE:
                msg = f"a message of {len(said):,} characters: {said[:200]!r}…"
                raise FindingError(msg) from error


def agrees(one: object, other: object, what: str) -> None:
    """Say that two things that should be equal are not."""
    if one != other:
        msg = f"{what}: {str(one)[:500]} is not {str(other)[:500]}"
        raise FindingError(msg)


@contextmanager
def as_file(data: bytes, suffix: str) -> Iterator[Path]:
    """Have the input as a file for a moment."""
    path = _folder() / f"input{suffix}"
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def as_folder(files: Mapping[str, bytes], suffix: str) -> Iterator[Path]:
    """Have the input as a folder for a moment."""
    top = _folder() / f"input{suffix}"
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        yield top
    finally:
        shutil.rmtree(top, ignore_errors=True)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def _folder() -> Path:
    if not _FOLDERS:
        memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
        _FOLDERS.append(tempfile.TemporaryDirectory(prefix="tamannot-fuzz-", dir=memory if memory.is_dir() else None))
    return Path(_FOLDERS[0].name)


def mutated(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Return an input changed in one to eight places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((1, 1, 2, 4, 16, 64, 512)))
        way = rng.randrange(9)
        if way == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif way == 1 and at < len(out):
            out[at] = rng.choice(_ODD)
        elif way == 2:
            out[at:at] = bytes([rng.choice((rng.choice(_ODD), rng.randrange(256)))])
        elif way == 3:
            del out[at:end]
        elif way == 4:
            out[at:at] = out[at:end] * rng.choice((1, 1, 2, 30))
        elif way == 5:
            out[at:at] = rng.choice(_WORDS)
        elif way == 6:
            out[at:end] = rng.choice(_WORDS)
        elif way == 7 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            out[at:end] = other[start : start + rng.choice((4, 32, 256))]
        elif way == 8:
            del out[at:]
    return bytes(out[:_LONGEST])


def plain(one: Callable[[bytes], None], seeds: Sequence[bytes], *, seconds: float, runs: int, seed: int) -> int:
    """Run mutations of the seeds; print and keep each kind of finding once. Return how many kinds there are."""
    rng, began, kinds, n = random.Random(seed), time.monotonic(), set[str](), 0  # noqa: S311 - no secret
    while n < runs and time.monotonic() - began < seconds:
        data = seeds[n] if n < len(seeds) else mutated(rng.choice(seeds), rng, seeds)
        n += 1
        start = time.monotonic()
        try:
            one(data)
            agrees(time.monotonic() - start < _SLOW, True, "quick")
        except Exception as error:
            kind = _kind(error)
            if kind not in kinds:
                kinds.add(kind)
                print(
                    f"FOUND {kind}\n{''.join(traceback.format_exception(error)[-4:])}input: {_keep(data)}", flush=True
                )
    print(f"{n:,} inputs in {time.monotonic() - began:.0f} s, {len(kinds)} kinds of findings", flush=True)
    return len(kinds)


def _kind(error: Exception) -> str:
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "tamannot" in Path(f.filename).parts]
    last = (ours or traceback.extract_tb(error.__traceback__))[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _keep(data: bytes) -> Path:
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{Path(sys.argv[0]).stem}-{abs(hash(data)):016x}"
    path.write_bytes(data)
    return path


def guided(one: Callable[[bytes], None], seeds: Sequence[bytes], *, seconds: float, runs: int, seed: int) -> None:
    """Run atheris; it ends the process."""
    import atheris

    FOUND.mkdir(exist_ok=True)
    corpus = _folder() / "corpus"
    corpus.mkdir()
    for i, data in enumerate(seeds):
        (corpus / str(i)).write_bytes(data)
    flags = [f"-max_total_time={seconds:.0f}", f"-runs={runs}", f"-seed={seed + 1}", f"-max_len={_LONGEST}"]
    flags += [f"-timeout={_SLOW:.0f}", f"-artifact_prefix={FOUND}/{Path(sys.argv[0]).stem}-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *flags, "-rss_limit_mb=4096", str(corpus)], one)
    atheris.Fuzz()


def instrumented(*packages: str) -> None:
    """Import packages so that atheris sees which lines run; without it, do nothing."""
    with_atheris = importlib.util.find_spec("atheris") is not None and "--plain" not in sys.argv
    if with_atheris:
        import atheris

        for kernel in pkgutil.iter_modules(
            scoring.__path__, "tamannot.scoring."
        ):  # numba reads their byte code as it is
            importlib.import_module(kernel.name)
        with atheris.instrument_imports(include=list(packages)):
            for package in packages:
                importlib.import_module(package)


def main(one: Callable[[bytes], None], seeds: Sequence[bytes]) -> None:
    """Run a target as its arguments say; exit with 1 if something was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="not with atheris, even if it is there")
    parser.add_argument("inputs", nargs="*", type=Path, help="run these files once instead")
    asked = parser.parse_args()
    if asked.inputs:
        for path in asked.inputs:
            one(path.read_bytes())
        return
    warnings.simplefilter("ignore")  # those of numpy and pandas on odd values
    logging.disable(logging.CRITICAL)  # zarr's tasks, of what was wrong besides
    settings.progress = False
    one(seeds[0])  # compiles kernels; that is not to be timed
    limits = {"seconds": asked.seconds, "runs": asked.runs, "seed": asked.seed}
    if importlib.util.find_spec("atheris") is not None and not asked.plain:
        guided(one, seeds, **limits)
    sys.exit(1 if plain(one, seeds, **limits) else 0)
