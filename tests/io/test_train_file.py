"""Training on a file, from Python: parameters have the defaults of ``tl.train``."""

from __future__ import annotations

import tamannot as tam
from tamannot.io import train_file


def test_parameters_have_the_defaults_of_train(example_file, tmp_path):
    found = train_file(example_file, tmp_path / "m.npz", labels="author_label", target_accuracy=0.9)
    assert found.about["digest"] == tam.load_model(tmp_path / "m.npz").digest
    assert found.about["labels"] == "author_label"
    assert any("Fewer than 20 cells" in note for note in found.notes)
