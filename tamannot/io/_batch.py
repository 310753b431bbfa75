"""Annotates many files independently: a failure of one does not affect the others."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from tamannot._progress import ENDING, Interruption, Progress, silent
from tamannot._settings import settings
from tamannot.errors import OutputError, ParameterError, TamannotError
from tamannot.io._annotate import FileOptions, FileSummary, annotate_recorded
from tamannot.io._containers import opened
from tamannot.io._output import is_same, locked, place_of
from tamannot.io._targets import OUT_SUFFIXES, Outputs, RunLog, error_entry
from tamannot.io._write import n_cells
from tamannot.signature import as_signatures

# How often the line of a terminal is renewed while no file says anything.
_RENEW = 0.5
# Time to remove what was begun; copying a matrix cannot be stopped in between.
_PATIENCE = 10.0
_KILLED = "The system does this when memory runs out: use fewer --jobs or a smaller --chunk-size."
# The stage that goes once through all cells.
_COUNTED = "calling"


@dataclass(frozen=True)
class Task:
    """A file to annotate, and its outputs."""

    source: Path
    out: Path
    outputs: Outputs


@dataclass(frozen=True)
class FileResult:
    """The result of a file."""

    path: str
    summary: FileSummary | None  # None if it failed
    entry: dict[str, Any]  # what a log says about it
    traceback: str | None = None  # of a failure that is a bug

    @property
    def error(self) -> str | None:
        """The reason of a failure, in one line."""
        if self.summary is not None:
            return None
        kind, message = self.entry["error"]["type"], " ".join(self.entry["error"]["message"].split())
        said = message if self.traceback is None else f"a bug: {kind}: {message}"
        return said if said.startswith(self.path) else f"{self.path}: {said}"


def tasks_of(
    sources: Sequence[Path], folder: Path | None, tables: str | None, *, overwrite: bool, in_place: bool
) -> list[Task]:
    """Return the outputs of each input: in ``folder``, under its own name; without a folder, the input itself."""
    tasks, seen = [], dict[Path, Path]()
    inputs = {place_of(source) for source in sources if is_same(source, source)}  # those that are there
    for source in sources:
        suffix = source.suffix if source.suffix in OUT_SUFFIXES else OUT_SUFFIXES[0]
        out = source if folder is None else folder / f"{source.stem}{suffix}"
        place, own = place_of(out), is_same(out, source)
        table = out.with_suffix(f".{tables}") if tables else None
        other = seen.setdefault(place if table is None else place_of(table), source)
        if other is not source:
            same = f"{other} and {source} would have the same output, {table or out}"
            raise ParameterError(f"{same}. Rename one, or run them separately.")
        if (own or place in inputs) and not (own and in_place):  # its own also by a hard link
            instead = ", or in_place=True to write the results into the inputs" if own else ""
            raise ParameterError(f"{out} is an input. Give another folder{instead}.")
        outputs = Outputs(out, table, overwrite=overwrite, in_place=in_place)
        outputs.targets(source)
        tasks.append(Task(source, out, outputs))
    return tasks


def annotate_tasks(tasks: Sequence[Task], options: FileOptions, *, jobs: int, report: Progress) -> Iterator[FileResult]:
    """Annotate files in separate processes; yield the result of each when it ends.

    If a process dies, its current file fails and a new process replaces it. If the caller stops early, the processes
    are ended and leave nothing half written.
    """
    jobs = max(1, min(jobs, len(tasks)))
    options = replace(options, signatures=dict(as_signatures(options.signatures or {})))
    n_obs = 0
    for task in tasks:
        with suppress(Exception), opened(task.source) as root:  # what cannot be read now fails later
            n_obs += n_cells(root)
    report(f"annotating {len(tasks)} files", n_obs)
    waiting, idle, busy = deque(tasks), list[_Worker](), dict[Any, tuple[_Worker, Task]]()
    threads = max(1, settings.n_threads() // jobs)
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                task = waiting.popleft()
                worker = idle.pop() if idle else _Worker(threads, options)
                busy[worker.pipe] = worker, task
                with suppress(OSError):  # it died meanwhile: its pipe tells when it is listened to
                    worker.pipe.send(task)
            for pipe in wait(list(busy), timeout=_RENEW):
                worker, task = busy[pipe]
                try:
                    said = worker.pipe.recv()
                except (EOFError, OSError):
                    del busy[pipe]
                    yield _after_death(worker, task)
                    continue
                if isinstance(said, int):
                    report.tick(said)
                    continue
                del busy[pipe]
                idle.append(worker)
                yield said
            report.tick(0)
    finally:
        # All are asked at once; each removes what it has begun to write, or is killed if that takes too long.
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.process.terminate()
        for worker in idle:
            worker.end()
        for worker, task in busy.values():
            _after_death(worker, task)


def make_folders(tasks: Sequence[Task]) -> None:
    """Make the folders of the outputs, or raise an OutputError."""
    for folder in {task.out.parent for task in tasks}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot create this folder: {os.strerror(error.errno or 0)}.") from error


def _after_death(worker: _Worker, task: Task) -> FileResult:
    """Remove what a process had begun to write when it was ended, and return the failure of its file."""
    worker.end()
    for target in task.outputs.targets(task.source).values():
        with suppress(OutputError), locked(target):
            pass
    code = worker.process.exitcode or 0
    hint = f" {_KILLED}" if code == -9 else ""
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    error = error_entry(ChildProcessError(f"its process was ended {how}.{hint}"))
    entry = RunLog(task.source, silent()).entry() | {"peak_memory_bytes": None, "error": error}
    return FileResult(str(task.source), None, entry)


class _Worker:
    """The side of a worker process that gives it tasks."""

    def __init__(self, threads: int, options: FileOptions) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, threads), daemon=True)
        # The process does not hear Ctrl-C: this one does, and ends it.
        if sys.platform == "win32":
            self.process.start()
        else:
            resource_tracker.ensure_running()  # its first start, within that of the process, would end the block
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # so that its death is the end of the pipe
        self.pipe.send(options)  # a model is too large to be an argument: a signal would cut it off

    def end(self) -> None:
        """Wait until it has ended, and kill it if that takes too long."""
        self.process.join(_PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _work(pipe: Connection, threads: int) -> None:
    """Annotate the files that arrive through the pipe until the end signal."""
    interruption = Interruption(ENDING)
    interruption.listen()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # as in the command line: of one file, one message
    Thread(target=_end_with_parent, daemon=True).start()
    settings.threads = threads
    try:
        options = pipe.recv()
        while True:
            task, summary, bug = pipe.recv(), None, None
            record = RunLog(task.source, _SentProgress(pipe))
            own = replace(options, settings=replace(options.settings, sample=str(task.source)))
            try:
                summary = annotate_recorded(record, task.outputs, own)
            except TamannotError:
                pass  # the record has it
            except Exception:  # noqa: BLE001 - a bug in one file is told at the end, with its traceback
                bug = traceback.format_exc()
            pipe.send(FileResult(str(task.source), summary, record.entry(), bug))
    except (EOFError, OSError):  # the other side is gone, maybe within a message
        return
    except KeyboardInterrupt:
        sys.exit(128 + interruption.received)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class _SentProgress(Progress):
    """Passes the cells that are done on to the other side."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(show=False)
        self._pipe, self._sending = pipe, Lock()

    def tick(self, n: int) -> None:
        """Say that ``n`` more cells are done."""
        super().tick(n)
        if self._stage == _COUNTED:
            with self._sending:
                self._pipe.send(n)
