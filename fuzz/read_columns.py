"""Columns of obs and var: names of genes, cells, samples and labels of any kind."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from _choices import Choices
from _fuzz import instrumented, main, only_our_errors

instrumented("tamannot.data", "tamannot.tl", "tamannot.signature")

from tamannot._settings import AnnotateSettings
from tamannot.analysis._samples import samples_of, table_of_samples
from tamannot.data import unpack
from tamannot.signature import load_signatures
from tamannot.tl._annotate import read_input
from tamannot.tl._train import _labels as labels_given

_LIBRARY = load_signatures(axis="state")
_GENES = [
    "SPP1",
    "GPNMB",
    "CD68",
    "spp1",
    "Spp1",
    "ENSG00000118785",
    "ENSG00000118785.13",
    "GRCh38_SPP1",
    "mm10___Spp1",
]
_N = 6


def seeds() -> list[bytes]:
    return [bytes(range(start, start + 60)) for start in (0, 40, 90, 150)] + [bytes(60), bytes([255, 3, 1, 7] * 20)]


def one(data: bytes) -> None:
    choices = Choices(data)
    try:
        adata = _built(choices)
    except (
        ValueError,
        TypeError,
        UnicodeError,
        KeyError,
        AttributeError,
        OverflowError,
    ):  # pandas or anndata refuse it
        return
    column = choices.pick(["s", "t", "absent", "tam_x"])
    gene_symbols = choices.pick([None, "gene_ids", "feature_name", "absent", "g"])
    with only_our_errors():
        unpack(adata, _LIBRARY, gene_symbols=gene_symbols, species=choices.pick(["auto", "human", "mouse"]))
    with only_our_errors():
        labels_given(adata, column)
    with only_our_errors():
        sample_key = choices.pick([None, "s", "t", "absent"])
        read_input(adata, None, AnnotateSettings(compartment_key=column, sample_key=sample_key))
    with only_our_errors():
        table_of_samples(adata, samples_of(adata, column), ["t"])


def _built(choices: Choices) -> ad.AnnData:
    genes = [choices.pick(_GENES) if choices.yes(2) else choices.text() for _ in range(_N)]
    obs = pd.DataFrame({"s": _column(choices), "t": _column(choices)}, index=_index(choices))
    var = pd.DataFrame({choices.pick(["gene_ids", "feature_name", "g"]): _column(choices)}, index=pd.Index(genes))
    if choices.yes(6):
        obs = pd.concat([obs, obs[["s"]]], axis=1)
    return ad.AnnData(np.arange(float(_N * _N)).reshape(_N, _N), obs=obs, var=var)


def _index(choices: Choices) -> pd.Index:
    return pd.Index([choices.text() for _ in range(_N)])


def _column(choices: Choices) -> Any:
    kind = choices.byte() % 12
    words = [choices.pick(_GENES) if choices.yes(3) else choices.text() for _ in range(_N)]
    mixed: list[object] = [choices.pick([None, np.nan, pd.NA, 1, 2.5, b"x\xff", "a", (1, 2), True]) for _ in range(_N)]
    numbers = [choices.fraction() for _ in range(_N)]
    match kind:
        case 0:
            return words
        case 1:
            return pd.Categorical(words)
        case 2:
            return pd.array(mixed, dtype=object)
        case 3:
            return numbers
        case 4:
            return pd.array([choices.pick([True, False, pd.NA]) for _ in range(_N)], dtype="boolean")
        case 5:
            return pd.to_datetime([choices.number() % 10**9 for _ in range(_N)], unit="s")
        case 6:
            return np.array([complex(x, 1) for x in numbers])
        case 7:
            return pd.array([choices.number() for _ in range(_N)], dtype=object)
        case 8:
            return pd.Categorical(numbers)
        case 9:
            return [w.encode("utf-8", "surrogateescape") for w in words]
        case 10:
            return pd.Categorical([None] * _N)
        case _:
            return pd.arrays.StringArray._from_sequence(words)


if __name__ == "__main__":
    main(one, seeds())
