"""The log of a run: inputs, options, time of each stage, and memory."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tamannot._progress import Progress
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.errors import OutputError
from tamannot.io._output import check_target, locked, replacing
from tamannot.signature import as_signatures

_PACKAGES = ("anndata", "h5py", "numba", "numpy", "pandas", "scikit-learn", "scipy", "zarr")


class RunLog:
    """The events of a run over one file."""

    def __init__(self, source: Path, report: Progress) -> None:
        self.source, self.report = source, report
        self.n_obs: int | None = None
        self.outputs: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._seconds, self._stages = 0.0, dict[str, float]()
        self._error: dict[str, str] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time the block; keep the error that ends it."""
        begun, before = time.monotonic(), dict(self.report.seconds)
        try:
            yield
        except BaseException as error:
            self._error = error_entry(error)
            raise
        finally:
            self.report.close()
            self._seconds = time.monotonic() - begun
            spent = {stage: s - before.get(stage, 0.0) for stage, s in self.report.seconds.items()}
            self._stages = {stage: round(s, 3) for stage, s in spent.items() if s > 0}

    def entry(self) -> dict[str, Any]:
        """Return the entry of the file in the log."""
        return {
            "input": str(self.source),
            "outputs": list(self.outputs),
            "n_obs": self.n_obs,
            "stages": self._stages,
            **speed(self.n_obs, self._seconds),
            "peak_memory_bytes": peak_memory(),
            "notes": list(self.notes),
            "error": self._error,
        }


@contextmanager
def logged(
    log: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
    entry: Callable[[], dict[str, Any]],
    *,
    overwrite: bool = False,
) -> Iterator[None]:
    """Write a log, ``.json``, when the block ends, with or without an error.

    The log of an earlier run is replaced, another file only with ``overwrite``. Of the option ``signatures``, which
    were added to the library, it has the digests.
    """
    if log is None:
        yield
        return
    target = Path(log)
    if target.suffix != ".json":
        raise OutputError(f"{target}: the name of a log must end in .json.")
    is_log = False
    with suppress(OSError, ValueError):
        found = json.loads(target.read_text())
        is_log = isinstance(found, dict) and "tamannot_log" in found
    check_target(target, overwrite=overwrite or is_log)
    versions = {"tamannot": package_version(), "python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    chosen = dict(options)
    if "signatures" in chosen:
        own = as_signatures(chosen["signatures"] or {})
        chosen["signatures"] = {name: signature.digest for name, signature in own.items()}
    content: dict[str, Any] = {
        "tamannot_log": 1,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions | {"platform": platform.platform()},
        "threads": settings.n_threads(),
        "options": chosen,
        "error": None,
    }
    with locked(target):
        try:
            yield
        except BaseException as error:
            content["error"] = error_entry(error)
            raise
        finally:  # an error of the run takes precedence over one of writing the log
            with nullcontext() if content["error"] is None else suppress(OutputError), replacing(target) as beside:
                beside.write_text(json.dumps(content | entry(), indent=2, default=str) + "\n")


def speed(n_obs: int | None, seconds: float) -> dict[str, float | None]:
    """Return seconds, and cells per second if the number of cells is known."""
    rate = round(n_obs / seconds, 1) if n_obs is not None and seconds > 0 else None
    return {"seconds": round(seconds, 3), "cells_per_second": rate}


def error_entry(error: BaseException) -> dict[str, str]:
    """Return kind and message of an error."""
    return {"type": type(error).__name__, "message": str(error)}


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not report it."""
    # Linux hands the maximum of rusage on to a new program; that of the memory map is the program's own.
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
