"""What the tests of both kinds of model files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tamannot.errors import ModelFormatError


@pytest.fixture
def check_damaged(tmp_path: Path) -> Callable[..., None]:
    """Check that files cut off anywhere are refused, and that with a byte changed they never crash a reader."""

    def check(model, read) -> None:
        model.save(tmp_path / "m.npz")
        whole = (tmp_path / "m.npz").read_bytes()
        path, rng = tmp_path / "cut.npz", np.random.default_rng(0)
        for end in rng.integers(0, len(whole) - 1, 30):
            path.write_bytes(whole[:end])
            with pytest.raises(ModelFormatError):
                read(path)
        for at in rng.integers(0, len(whole), 200):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            try:
                read(path)
            except ModelFormatError as error:
                assert str(error).count("\n") == 0  # noqa: PT017

    return check
