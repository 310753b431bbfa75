"""How a choice of malignant cells is written down."""

from __future__ import annotations

import pytest

from tamannot.analysis._samples import malignant_as_text


@pytest.mark.parametrize(
    ("malignant", "text"),
    [
        ("is_malignant", "is_malignant"),
        (("cell_type", "Malignant"), "cell_type: Malignant"),
        (("cell_type", ["Malignant", "Tumour"]), "cell_type: Malignant, Tumour"),
        (("cnv", True), "cnv: True"),
    ],
)
def test_column_and_values(malignant, text):
    assert malignant_as_text(malignant) == text
