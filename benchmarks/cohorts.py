"""Comparisons of samples where the truth is known: what they find where there is nothing, and what they miss.

usage: python benchmarks/cohorts.py [--parts composition]

Prints Markdown. Everything is simulated, and every number comes from a fixed seed.
"""

from __future__ import annotations

import argparse

from _cohort_composition import tables as composition

PARTS = {"composition": composition}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    for part in parser.parse_args().parts:
        for line in PARTS[part]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
