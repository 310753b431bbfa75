"""What several commands take, choices and options of one meaning everywhere; and messages in terms of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

Species = StrEnum("Species", {"AUTO": "auto", "HUMAN": "human", "MOUSE": "mouse"})
Tissue = StrEnum("Tissue", {"AUTO": "auto", "BRAIN": "brain", "OTHER": "other"})
# Labels whose shares are compared, and how cells count in a share.
Axis = StrEnum("Axis", {"STATE": "state", "ORIGIN": "origin", "COMPARTMENT": "compartment"})
Counts = StrEnum("Counts", {"CALLED": "called", "EXPECTED": "expected"})
Hypotheses = StrEnum("Hypotheses", {"ALL": "all", "MEDIATORS": "mediators", "T_CELLS": "t_cells"})
MethodName = StrEnum("MethodName", "UCELL UCELL_LEGACY AUCELL AUCELL_PYSCENIC MODULE MEAN SSGSEA GSVA")
Tables = StrEnum("Tables", "CSV PARQUET")
Figure = StrEnum(
    "Figure",
    "STATES ORIGINS STATE_BY_ORIGIN COMPOSITION COMPOSITION_TESTS SCORES MARKERS COVERAGE POLARIZATION FERROPTOSIS "
    "ENRICHMENT CROSSTALK",
)


def out_option(what: str) -> Any:
    """Return the option of a whole output."""
    return Option("--out", "-o", metavar="OUT", help=f"Output: a copy of IN with {what} added, .h5ad or .zarr.")


def table_option(what: str) -> Any:
    """Return the option of a table."""
    return Option(help=f"Write the {what} alone to a table: .csv or .parquet.")


Input = Annotated[Path, Argument(metavar="IN", help="An h5ad file or a zarr folder. It is never changed.")]
Source = Annotated[Path, Argument(metavar="IN", help="An h5ad file or a zarr folder. Changed only by --in-place.")]
Annotated_ = Annotated[
    Path, Argument(metavar="IN", help="An annotated h5ad file or zarr folder. Changed only by --in-place.")
]
ResultTable = Annotated[Path | None, Option(help="Write the table to a file: .csv, .tsv or .parquet.")]
SampleKey = Annotated[str, Option(metavar="COLUMN", help="Column of obs with the sample: the tumour or donor.")]
Groupby = Annotated[str, Option(metavar="COLUMN", help="Column of obs with the groups, such as clusters.")]
Key = Annotated[str, Option(help="The key_added of the annotation.")]
Layer = Annotated[str | None, Option(help="Matrix to use: X, raw, or a layer. Default: the best usable one.")]
GeneSymbols = Annotated[str | None, Option(help="Column of var with symbols or Ensembl ids.")]
SpeciesOption = Annotated[Species, Option(help="Species of the data.")]
TissueOption = Annotated[Tissue, Option(help="Tissue of the sample. Outside the brain no cell is called microglia.")]
CompartmentOption = Annotated[
    str | None, Option(help="Column of obs with your own compartments, instead of the compartment classifier.")
]
OwnSignatures = Annotated[Path | None, Option(help="Your own signatures (.toml, folder, .gmt), added to the library.")]
SignatureNames = Annotated[
    list[str] | None, Option(help="Your own file or folder, an axis of the library (state), or an id; may be repeated.")
]
Threads = Annotated[int | None, Option(min=1, help="Number of threads. Default: as many as the machine allows.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace existing outputs.")]
InPlace = Annotated[bool, Option("--in-place", help="Write into IN itself instead of -o, through a temporary file.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print errors only.")]
AsJson = Annotated[bool, Option("--json", help="Print the summary as JSON.")]

# Messages are written for Python, once. What of Python they name has a word of its own on the command line.
_CALLS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"(?:tamannot\.)?tl\.(annotate|score)\([^)]*\)", r"tamannot \1 IN -o OUT"),
    (r"(?:tamannot\.)?tl\.train\([^)]*\)", "tamannot train IN -o MODEL"),
    (r"(?:tamannot\.)?tl\.(annotate|score|train)\b", r"tamannot \1"),
    (r"(?:tamannot\.)?tl\.composition\b(?:\([^)]*\))?", "tamannot compare IN --sample-key S --condition C -o OUT"),
    (r"(?:tamannot\.)?tl\.enrich\b(?:\([^)]*\))?", "tamannot enrich IN --groupby G -o OUT"),
    (r"(?:tamannot\.)?tl\.crosstalk\b(?:\([^)]*\))?", "tamannot crosstalk IN --sample-key S --malignant M -o OUT"),
    (r"Run (?:tamannot\.)?tl\.ferroptosis_summary\([^)]*\) first", "Give --sample-key"),
    (r", or get the shares with table='shares'", ""),
    (r"Use another key for these scores, such as key_added=\"null\"", "Score the file from before the annotation"),
    (r"malignant=\('([^']*)', '([^']*)'\)", r"--malignant \1=\2"),
    (r"(?<!['\"\w/-])(min_cells|sample_key)(?![\w'\"=/-]|\.\w)", lambda found: f"--{found[1].replace('_', '-')}"),
    (r"list\(load_signatures\(\)\)", "tamannot signatures list"),
    (r"load_signatures\(species=\W(\w+)\W\)", r"\1 signatures"),
    (r"compartment_key=\(column, [^)]*\)", "a column"),
    (r"\b(U|AU)Cell\(variant='(\w+)'\)", lambda found: f"{found[1].lower()}cell_{found[2]}"),
    (r"\b(UCell|AUCell|ModuleScore)\((\w+)=…\)", r"\1 with another \2 (in Python)"),
    (r"\b(UCell|AUCell|ModuleScore)\((\w+)=([^)]*)\)", r"\1 with \2 \3 (in Python)"),
    (r"\bweights='ignore'", "--ignore-weights"),
    (r"\bnull='matched'", "--null"),
)
_PARAMETERS = (
    "chunk_size|compartment|compartment_key|condition|counts|gene_symbols|groupby|hypotheses|in_place|key|labels|layer|"
    "malignant|method|min_coverage|model|null|out|overwrite|reference|sample_key|shares|signatures|species|table|"
    "target_accuracy|threads|tissue|title"
)
# A folder may be named species=human: what goes on with / is a path.
_PARAMETER = re.compile(rf"(?<![\w/='\"])({_PARAMETERS})=(?:'([^']*)'|\"([^\"]*)\"|(\w++(?:\.\w++)*+))?(?![\w/])")


def as_options(message: str) -> str:
    """Return a message of the library in the words of the command line: options for parameters, commands for calls."""
    for call, command in _CALLS:
        message = re.sub(call, command, message)
    return _PARAMETER.sub(_option, message)


def _option(found: re.Match[str]) -> str:
    value = next((v for v in found.groups()[1:] if v is not None), "")
    option = f"--{found[1].replace('_', '-')}"
    return option if value in ("", "True") else f"{option} {value}"
