"""Comparisons of samples where the truth is known: what they find where there is nothing, and what they miss.

usage: python benchmarks/cohorts.py [--parts composition crosstalk enrichment] [--quick]

Prints Markdown. Everything is simulated, and every number comes from a fixed seed. A part is a function that yields
the lines of its tables, of so few cohorts with ``quick=True`` that they only show that it runs.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Protocol

from _cohort_composition import tables as composition
from _cohort_crosstalk import tables as crosstalk
from _cohort_enrich import tables as enrichment

import tamannot as tam


class Part(Protocol):
    """What a part is called with."""

    def __call__(self, *, quick: bool = False) -> Iterator[str]:
        """Yield lines of Markdown."""


PARTS: dict[str, Part] = {"composition": composition, "crosstalk": crosstalk, "enrichment": enrichment}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument(
        "--quick", action="store_true", help="few cohorts: shows that it runs, the figures mean nothing"
    )
    asked = parser.parse_args()
    tam.settings.progress = False
    warnings.simplefilter("ignore", tam.errors.TamannotWarning)
    for part in asked.parts:
        for line in PARTS[part](quick=asked.quick):
            print(line, flush=True)


if __name__ == "__main__":
    main()
