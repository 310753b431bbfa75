"""``tamannot``: the commands and their parameters.

Exit codes: 0 done; 1 a bug, with its traceback; 2 something about the input, in one message; 130, 143 and 129 ended by
Ctrl-C, SIGTERM and SIGHUP.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

import tamannot as tam
import tamannot.io as files
from tamannot._resources import package_version
from tamannot._settings import settings
from tamannot.cli import _options as options
from tamannot.cli._analyses import app as analyses_app
from tamannot.cli._show import print_check, print_notes, print_scores, print_summary, print_training, stages
from tamannot.cli._signatures import app as signatures_app
from tamannot.errors import TamannotError, printable

app = typer.Typer(
    name="tamannot",
    help="Annotate tumour-associated macrophages in single-cell data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(signatures_app, name="signatures")
app.add_typer(analyses_app)

# What typer refuses words with: of its kinds only a special one has a public name.
_REFUSAL: Any = typer.BadParameter.__mro__[2]


@app.command()
def annotate(
    sources: Annotated[
        list[Path], Argument(metavar="IN", help="h5ad files or zarr folders. Changed only by --in-place.")
    ],
    out: Annotated[Path | None, options.out_option("annotations")] = None,
    table: Annotated[Path | None, options.table_option("annotations")] = None,
    out_dir: Annotated[
        Path | None, Option(metavar="D", help="Folder for the outputs of several files, each named like its input.")
    ] = None,
    tables: Annotated[options.Tables | None, Option(help="With --out-dir: also write a table for each file.")] = None,
    cohort_table: Annotated[
        Path | None, Option(help="With --out-dir: also write a table with one row per sample: .csv, .tsv or .parquet.")
    ] = None,
    jobs: Annotated[int, Option("--jobs", "-j", min=1, help="With --out-dir: number of files at a time.")] = 1,
    each_alone: Annotated[
        bool, Option("--each-alone", help="With several files: fit each one separately, not all as one cohort.")
    ] = False,
    layer: options.Layer = None,
    gene_symbols: options.GeneSymbols = None,
    species: options.SpeciesOption = options.Species.AUTO,
    tissue: options.TissueOption = options.Tissue.AUTO,
    compartment_key: options.CompartmentOption = None,
    sample_key: Annotated[str | None, Option(help="Column of obs with the sample.")] = None,
    signatures: options.OwnSignatures = None,
    model: Annotated[
        list[Path] | None,
        Option(
            help="A model made by `tamannot train`; may be repeated. One trained without --labels replaces fitting to "
            "IN; one trained with --labels adds its labels as tam_model_label."
        ),
    ] = None,
    target_accuracy: Annotated[float, Option(help="Has no effect; kept for older scripts. Between 0 and 1.")] = 0.95,
    chunk_size: Annotated[
        int | None,
        Option(min=1, help="Number of cells processed at a time; fewer need less memory. Results do not depend on it."),
    ] = None,
    report: Annotated[Path | None, Option(metavar="HTML", help="Also write a report of the annotation: .html.")] = None,
    log: Annotated[Path | None, Option(help="Also write a log of the run: .json.")] = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Call compartment, origin, state and ferroptosis programs.

    OUT is written completely or not at all. A summary goes to stdout, progress to stderr. Several files are treated
    as one cohort: baselines and the classifier of states are fitted once to cells of all files. If some files fail,
    the others are still written, and the exit code is 2.
    """
    settings.threads = threads
    own = tam.read_signatures(signatures) if signatures else None
    choices: dict[str, Any] = {"layer": layer, "gene_symbols": gene_symbols, "species": species.value}
    choices |= {"tissue": tissue.value, "compartment_key": compartment_key, "sample_key": sample_key}
    choices |= {"model": model, "target_accuracy": target_accuracy}
    if len(sources) > 1 or out_dir is not None or tables is not None or cohort_table is not None:
        from tamannot.cli._many import annotate_many  # noqa: PLC0415 - processes, which one file does without

        asked = {"out_dir": out_dir, "tables": tables, "jobs": jobs, "overwrite": overwrite, "in_place": in_place}
        asked |= {"chunk_size": chunk_size, "each_alone": each_alone, "cohort_table": cohort_table}
        single = {"--out": out, "--table": table, "--report": report}
        annotate_many(sources, asked, single, own, choices, (log, quiet, as_json))
        return
    outputs: dict[str, Any] = {"table": table, "html": report, "log": log, "overwrite": overwrite, "in_place": in_place}
    with stages(quiet=quiet) as progress:
        summary = files.annotate_file(
            sources[0], out, signatures=own, chunk_size=chunk_size, report=progress, **outputs, **choices
        )
    print_summary(summary, as_json=as_json, quiet=quiet)


@app.command()
def score(
    source: options.Source,
    out: Annotated[Path | None, options.out_option("scores")] = None,
    table: Annotated[Path | None, options.table_option("scores")] = None,
    signatures: options.SignatureNames = None,
    method: Annotated[options.MethodName, Option(help="Scoring method.")] = options.MethodName.UCELL,
    ignore_weights: Annotated[bool, Option("--ignore-weights", help="Ignore the weights of genes.")] = False,
    null: Annotated[bool, Option("--null", help="Also compute z and p against matched random signatures.")] = False,
    min_coverage: Annotated[
        float, Option(min=0, max=1, help="Signatures with a smaller share of their genes in the data are not scored.")
    ] = 0.5,
    layer: options.Layer = None,
    gene_symbols: options.GeneSymbols = None,
    species: options.SpeciesOption = options.Species.AUTO,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Score signatures in every cell, without assigning labels.

    Without --signatures, the states are scored. OUT is written completely or not at all.
    """
    from tamannot.scoring import method_of  # noqa: PLC0415

    settings.threads = threads
    how = method_of(method.value)
    if ignore_weights:
        how = replace(how, weights="ignore")  # type: ignore[type-var]  # all are dataclasses and have it
    choices: dict[str, Any] = {"layer": layer, "gene_symbols": gene_symbols, "species": species.value}
    choices |= {"null": "matched" if null else None, "min_coverage": min_coverage}
    outputs: dict[str, Any] = {"table": table, "overwrite": overwrite, "in_place": in_place}
    asked = signatures or ["state"]
    with stages(quiet=quiet) as progress:
        summary = files.score_file(source, out, signatures=asked, method=how, report=progress, **outputs, **choices)
    print_scores(summary, as_json=as_json, quiet=quiet)


@app.command()
def train(
    source: options.Input,
    out: Annotated[Path, Option("--out", "-o", metavar="MODEL", help="Model to write: .npz.")],
    labels: Annotated[
        str | None,
        Option(metavar="COLUMN", help="Column of obs with your labels. Default: train what an annotation would fit."),
    ] = None,
    sample_key: Annotated[str | None, Option(help="Column of obs with the sample; whole samples are held out.")] = None,
    layer: options.Layer = None,
    gene_symbols: options.GeneSymbols = None,
    species: options.SpeciesOption = options.Species.AUTO,
    tissue: options.TissueOption = options.Tissue.AUTO,
    compartment_key: options.CompartmentOption = None,
    signatures: options.OwnSignatures = None,
    threads: options.Threads = None,
    target_accuracy: Annotated[
        float, Option(help="With --labels: accuracy that assigned labels should reach, between 0 and 1.")
    ] = 0.95,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace an existing model.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a model of your own labels, or of a cohort.

    With --labels: a classifier of these labels, evaluated on held-out cells. Without: the baselines and the
    classifier of states that an annotation would fit to these cells. Use both with tamannot annotate --model MODEL.
    MODEL is written completely or not at all.
    """
    settings.threads = threads
    choices: dict[str, Any] = {"layer": layer, "gene_symbols": gene_symbols, "species": species.value}
    choices |= {"tissue": tissue.value, "compartment_key": compartment_key, "sample_key": sample_key}
    choices |= {"target_accuracy": target_accuracy}
    choices |= {"signatures": tam.read_signatures(signatures) if signatures else None}
    with stages(quiet=quiet) as progress:
        summary = files.train_file(source, out, labels=labels, overwrite=overwrite, report=progress, **choices)
    print_training(summary, as_json=as_json, quiet=quiet)


@app.command()
def report(
    source: Annotated[Path, Argument(metavar="IN", help="An annotated h5ad file or zarr folder.")],
    out: Annotated[Path, Option("--out", "-o", metavar="OUT", help="Report to write: .html.")],
    key: Annotated[str, Option(help="The key_added of the annotation.")] = "tam",
    sample_key: Annotated[
        str | None, Option(help="Column of obs with the sample. Default: that of the annotation.")
    ] = None,
    condition: Annotated[str | None, Option(help="Column of obs with the condition of each sample.")] = None,
    title: Annotated[str | None, Option(help="Title of the report. Default: the name of the file.")] = None,
    export: Annotated[
        Path | None,
        Option(metavar="DIR", help="Folder for figures (.svg) and tables (.tsv, .xlsx with tamannot[excel])."),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write an HTML report of an annotated file.

    One file with findings, caveats, figures, evidence and methods, which needs no network. OUT and DIR are written
    completely or not at all.
    """
    run: dict[str, Any] = {"key": key, "sample_key": sample_key, "condition": condition}
    with print_notes(quiet=quiet), stages(quiet=quiet) as progress:
        files.report_file(source, out, title=title, export=export, overwrite=overwrite, report=progress, **run)
    if not quiet:
        typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
        if export is not None:
            typer.echo(f"{export}: {sum(1 for _ in export.iterdir())} files")


@app.command()
def check(
    source: options.Input,
    layer: options.Layer = None,
    gene_symbols: options.GeneSymbols = None,
    species: options.SpeciesOption = options.Species.AUTO,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what a file contains and whether it can be annotated.

    Shows the matrix, the gene ids and the coverage of signatures that an annotation would use. Exits with 0 if the
    file can be annotated; with 2 and advice if not, or if no macrophages could be found.
    """
    with stages(quiet=quiet) as report:
        found = files.check_file(source, layer=layer, gene_symbols=gene_symbols, species=species.value, report=report)
    print_check(found, as_json=as_json, quiet=quiet)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tamannot {package_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Annotate tumour-associated macrophages in single-cell data."""


def main() -> None:
    """Run the command line; errors of the input end it with one message and exit code 2."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name may have letters that the terminal has not
        sys.stdout.reconfigure(errors="backslashreplace")
    # zarr reads side by side; what is wrong with the others when one has been told comes as tracebacks
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    os.environ.setdefault("MPLBACKEND", "Agg")  # figures need no screen; matplotlib reads it when it is imported
    try:
        sys.exit(app(prog_name="tamannot", standalone_mode=False))
    except _REFUSAL as refusal:
        said = StringIO()
        refusal.show(file=said)
        for line in said.getvalue().rstrip("\n").split("\n"):  # has what the user gave
            print(printable(line), file=sys.stderr)
        sys.exit(refusal.exit_code)
    except typer.Abort:
        sys.exit(1)
    except TamannotError as error:
        print(f"tamannot: {options.as_options(str(error))}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        why = printable(error) or "allocation failed"
        print(f"tamannot: out of memory ({why}). Use a machine with more, or fewer cells at a time.", file=sys.stderr)
        sys.exit(2)
