"""A process that annotates one file after another, and how it is spoken to."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from tamannot._progress import ENDING, Interruption, Progress
from tamannot._settings import settings
from tamannot.errors import TamannotError
from tamannot.io._file import annotate_recorded
from tamannot.io._log import RunRecord
from tamannot.io._summary import FileSummary

# Time to remove what was begun; copying a matrix cannot be stopped in between.
_PATIENCE = 10.0
# The stage that goes once through all cells.
_COUNTED = "calling"

Said = tuple[FileSummary | None, dict[str, Any], str | None]


@dataclass(frozen=True)
class Task:
    """A file to annotate, and where to."""

    source: Path
    out: Path
    table: Path | None = None


class Worker:
    """The side of a worker process that gives it tasks.

    Parameters
    ----------
    threads
        That it may use.
    options
        Of `annotate_recorded`, for every file.
    """

    def __init__(self, threads: int, options: Mapping[str, Any]) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, threads), daemon=True)
        with _deaf_to_interrupts():
            self._process.start()
        theirs.close()  # so that its death is the end of the pipe
        self.pipe.send(dict(options))  # a model is too large to be an argument: a signal would cut it off

    @property
    def exit_code(self) -> int | None:
        """Negative if a signal ended it."""
        return self._process.exitcode

    def ask_to_end(self) -> None:
        """Have it stop and remove what it has begun to write."""
        self._process.terminate()

    def end(self) -> None:
        """Wait until it has ended, and kill it if that takes too long."""
        self._process.join(_PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.pipe.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let a process that is started here not hear Ctrl-C: the one that started it does, and ends it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Told(Progress):
    """Passes the cells that are done on to the other side."""

    def __init__(self, pipe: Connection, lock: Lock) -> None:
        super().__init__(show=False)
        self._pipe, self._sending = pipe, lock

    def tick(self, n: int) -> None:
        """Say that ``n`` more cells are done."""
        super().tick(n)
        if self._stage == _COUNTED:
            with self._sending:
                self._pipe.send(n)


def _work(pipe: Connection, threads: int) -> None:
    """Annotate what comes through the pipe until told to end."""
    interruption = Interruption(ENDING)
    interruption.listen()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # as in the command line: of one file, one message
    Thread(target=_end_with_parent, daemon=True).start()
    settings.threads = threads
    try:
        options = pipe.recv()
        while True:
            task = pipe.recv()
            pipe.send(_annotate(task, RunRecord(task.source, _Told(pipe, Lock())), options))
    except (EOFError, OSError):  # the other side is gone, maybe within a message
        return
    except KeyboardInterrupt:
        sys.exit(128 + interruption.received)


def _annotate(task: Task, record: RunRecord, options: Mapping[str, Any]) -> Said:
    try:
        own = {**options, "asked": replace(options["asked"], sample=str(task.source))}
        summary = annotate_recorded(record, task.out, table=task.table, **own)
    except TamannotError:
        return None, record.entry(), None
    except Exception:  # noqa: BLE001 - a bug in one file is told at the end, with its traceback
        return None, record.entry(), traceback.format_exc()
    return summary, record.entry(), None


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
