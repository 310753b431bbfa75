"""What several commands take: choices, and options of one meaning everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Species(StrEnum):
    """Species of the data."""

    AUTO = "auto"
    HUMAN = "human"
    MOUSE = "mouse"


class Tissue(StrEnum):
    """Tissue of the sample."""

    AUTO = "auto"
    BRAIN = "brain"
    OTHER = "other"


class MethodName(StrEnum):
    """How to score."""

    UCELL = "ucell"
    UCELL_LEGACY = "ucell_legacy"
    AUCELL = "aucell"
    AUCELL_PYSCENIC = "aucell_pyscenic"
    MODULE = "module"
    MEAN = "mean"
    SSGSEA = "ssgsea"
    GSVA = "gsva"


class Tables(StrEnum):
    """Kinds of tables."""

    CSV = "csv"
    PARQUET = "parquet"


def out_option(what: str) -> Any:
    """Return the option of a whole output."""
    return typer.Option("--out", "-o", metavar="OUT", help=f"The same with {what}: .h5ad or .zarr.")


def table_option(what: str) -> Any:
    """Return the option of a table."""
    return typer.Option(help=f"The {what} alone: .csv or .parquet.")


Input = Annotated[Path, typer.Argument(metavar="IN", help="An h5ad file or a zarr folder. It is never changed.")]
Source = Annotated[
    Path, typer.Argument(metavar="IN", help="An h5ad file or a zarr folder. Changed only by --in-place.")
]
Layer = Annotated[str | None, typer.Option(help="Matrix to use: X, raw, or a layer. Default: the best usable one.")]
GeneSymbols = Annotated[str | None, typer.Option(help="Column of var with symbols or Ensembl ids.")]
SpeciesOption = Annotated[Species, typer.Option(help="Species of the data.")]
TissueOption = Annotated[Tissue, typer.Option(help="Outside the brain there are no microglia.")]
CompartmentOption = Annotated[str | None, typer.Option(help="Column of obs with compartments, instead of the gate.")]
OwnSignatures = Annotated[
    Path | None, typer.Option(help="Signatures of your own (.toml, folder, .gmt), added to the library.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads. Default: what the machine allows.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Write into IN itself, instead of -o: written beside it, then renamed.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
