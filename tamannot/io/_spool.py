"""Tables that grow by blocks of cells and are too large for memory: kept in a nameless file until the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_FLOAT = np.dtype("<f4")
# Cells that are read back together: 30 MiB of an annotation's tables.
ROWS_A_READ = 1 << 15


class SpooledTables:
    """Tables of float32 on disk, all of a cell together; the file has no name, and is gone with its process.

    Parameters
    ----------
    columns
        Columns of each table.
    folder
        Where there is room: that of the output.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]], folder: Path) -> None:
        self.columns = {name: list(names) for name, names in columns.items()}
        self.n_obs = 0
        self._width = sum(len(names) for names in self.columns.values())
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".tamannot-")  # noqa: SIM115 - closed by `__exit__`

    def __enter__(self) -> SpooledTables:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the room back."""
        self._file.close()

    def add(self, rows: range, tables: Mapping[str, Array]) -> None:
        """Take some rows of every table; they must follow those before."""
        if rows.start != self.n_obs:
            msg = f"rows {rows.start} to {rows.stop} after {self.n_obs} rows"
            raise ValueError(msg)
        together = np.concatenate([np.asarray(tables[name], _FLOAT) for name in self.columns], axis=1)
        self._file.write(together.tobytes())
        self.n_obs = rows.stop

    def blocks(self) -> Iterator[tuple[slice, Mapping[str, Array]]]:
        """Give out rows and their tables, cells by columns, from the first to the last."""
        ends = np.cumsum([0, *(len(names) for names in self.columns.values())])
        self._file.seek(0)
        for start in range(0, self.n_obs, ROWS_A_READ):
            stop = min(start + ROWS_A_READ, self.n_obs)
            together = np.empty((stop - start, self._width), _FLOAT)
            self._file.readinto(together.data)
            parts = {name: together[:, a:b] for name, a, b in zip(self.columns, ends[:-1], ends[1:], strict=True)}
            yield slice(start, stop), parts
