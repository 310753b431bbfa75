"""``tamannot compare``, ``enrich``, ``crosstalk``, ``plot``, ``predict``: analyses of annotated files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

import tamannot.io as files
from tamannot import get, pl, tl
from tamannot._settings import settings
from tamannot.cli import _options as options
from tamannot.cli import _show
from tamannot.cli._options import Axis, Counts, Figure, Hypotheses
from tamannot.errors import ParameterError

if TYPE_CHECKING:
    from anndata import AnnData

app = typer.Typer()

# The key of the labels of a user's own model.
_MODEL = "tam_model"
# The figures that show a summary of samples, and what of the options goes to it.
_SUMMARIES = {
    Figure.COMPOSITION: ("sample_key", "condition", "axis"),
    Figure.COMPOSITION_TESTS: ("sample_key", "condition", "axis"),
    Figure.FERROPTOSIS: ("sample_key", "groupby"),
}


@app.command()
def compare(
    source: options.Annotated_,
    sample_key: options.SampleKey,
    condition: Annotated[
        str | None, Option(metavar="COLUMN", help="Column of obs with one value per sample. Default: shares, no tests.")
    ] = None,
    axis: Annotated[
        Axis, Option(help="States or origins, as shares of macrophages, or compartments, as shares of all cells.")
    ] = Axis.STATE,
    covariate: Annotated[
        list[str] | None, Option(metavar="COLUMN", help="Column of obs with one value per sample; may be repeated.")
    ] = None,
    reference: Annotated[str | None, Option(help="The condition to compare with. Default: the first category.")] = None,
    counts: Annotated[Counts, Option(help="Compare cells by label, or by sums of probabilities.")] = Counts.CALLED,
    no_depth: Annotated[bool, Option("--no-depth", help="Do not adjust for depth (read from the matrix).")] = False,
    min_cells: Annotated[int, Option(min=1, help="Macrophages (or cells) that a sample needs to be compared.")] = 30,
    key: options.Key = "tam",
    out: Annotated[Path | None, options.out_option("the comparison")] = None,
    table: options.ResultTable = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Compare shares of labels between conditions, over samples.

    The table has one row per label and contrast; without --condition, one row per sample and label.
    Cautions go to stderr.
    """
    how: dict[str, Any] = {"condition": condition, "axis": axis.value, "covariates": covariate or ()}
    how |= {"reference": reference, "min_cells": min_cells, "counts": counts.value, "depth": not no_depth}

    def run(adata: AnnData) -> _show.Tables:
        tl.composition(adata, sample_key, key=key, **how)
        shares = "expected" if counts is Counts.EXPECTED else "shares"
        names = (shares,) if condition is None else ("tests", shares)
        return {name: get.composition(adata, key, table=name, axis=axis.value) for name in names}  # type: ignore[arg-type]

    shown = _show.shown_shares if condition is None else _show.shown_tests
    _analyse(source, run, shown, key, (out, table, overwrite, in_place), (quiet, as_json))


@app.command()
def enrich(
    source: options.Annotated_,
    groupby: options.Groupby,
    sample_key: Annotated[
        str | None,
        Option(metavar="COLUMN", help="Column of obs with the sample. Default: genes are ranked over cells."),
    ] = None,
    signatures: options.SignatureNames = None,
    compartment: Annotated[
        str | None, Option(help="Compare only cells of this compartment with one another: macrophage.")
    ] = None,
    layer: options.Layer = None,
    gene_symbols: options.GeneSymbols = None,
    species: options.SpeciesOption = options.Species.AUTO,
    threads: options.Threads = None,
    key: options.Key = "tam",
    out: Annotated[Path | None, options.out_option("the enrichment")] = None,
    table: options.ResultTable = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Find the signatures that are enriched in each group of cells.

    The table has one row per group and signature. Shown are the names that the signatures give to each group, and
    its most enriched signatures. Cautions go to stderr.
    """
    from tamannot.data import species_of  # noqa: PLC0415
    from tamannot.signature import signatures_named  # noqa: PLC0415

    settings.threads = threads
    how: dict[str, Any] = {"layer": layer, "gene_symbols": gene_symbols, "species": species.value}

    def run(adata: AnnData) -> _show.Tables:
        own = signatures_named(signatures, species_of(adata, **how)) if signatures else None
        tl.enrich(adata, groupby, signatures=own, sample_key=sample_key, compartment=compartment, key=key, **how)
        return {
            "signatures": get.enrichment(adata, key, groupby=groupby),
            "clusters": get.enrichment(adata, key, kind="clusters", groupby=groupby),
        }

    _analyse(source, run, _show.shown_enrichment, key, (out, table, overwrite, in_place), (quiet, as_json))


@app.command()
def crosstalk(
    source: options.Annotated_,
    sample_key: options.SampleKey,
    malignant: Annotated[
        list[str],
        Option(
            metavar="COLUMN=VALUE",
            help="Column of obs and its value for malignant cells (repeat for more values), or a column of True and "
            "False. Malignant cells are never inferred.",
        ),
    ],
    hypotheses: Annotated[
        Hypotheses | None, Option(help="Associations to test. Default: three prespecified ones.")
    ] = None,
    shares: Annotated[Counts, Option(help="Shares of cells by their label, or mean probabilities.")] = Counts.CALLED,
    covariate: Annotated[
        list[str] | None,
        Option(help="ambient, hypoxia, depth or a column of obs; may be repeated. Default: these three."),
    ] = None,
    min_cells: Annotated[int, Option(min=1, help="Macrophages and malignant cells that a sample needs.")] = 30,
    threads: options.Threads = None,
    key: options.Key = "tam",
    out: Annotated[Path | None, options.out_option("the associations")] = None,
    table: options.ResultTable = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Correlate macrophages with malignant cells, across samples.

    The ferroptosis programs of malignant cells are tested. The table has one row per association. An association has
    no direction and is not a cause. Cautions go to stderr.
    """
    settings.threads = threads
    how: dict[str, Any] = {"shares": shares.value, "min_cells": min_cells}
    how |= {"hypotheses": None if hypotheses is None else hypotheses.value}
    if covariate:
        how["covariates"] = covariate

    def run(adata: AnnData) -> _show.Tables:
        tl.crosstalk(adata, sample_key, malignant=malignant_of(malignant, adata.obs.columns), key=key, **how)
        return {"tests": get.crosstalk(adata, key), "samples": get.crosstalk(adata, key, kind="samples")}

    _analyse(source, run, _show.shown_associations, key, (out, table, overwrite, in_place), (quiet, as_json))


@app.command()
def predict(
    source: options.Source,
    model: Annotated[Path, Option(help="A model made by `tamannot train --labels`.")],
    out: Annotated[Path | None, options.out_option("labels")] = None,
    table: options.ResultTable = None,
    layer: options.Layer = None,
    gene_symbols: options.GeneSymbols = None,
    species: options.SpeciesOption = options.Species.AUTO,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Label every cell with a model trained on your own labels.

    Adds tam_model_label, tam_model_prob and tam_model_status. IN need not be annotated. The table has one row per cell.
    """
    from tamannot.io._targets import NO_OUTPUT  # noqa: PLC0415
    from tamannot.tl._model import Model, load_model  # noqa: PLC0415

    settings.threads = threads
    trained = load_model(model)
    if not isinstance(trained, Model):
        raise ParameterError(f"{model} was trained without --labels. Give it to tamannot annotate --model.")

    def run(adata: AnnData) -> _show.Tables:
        trained.predict(adata, layer=layer, gene_symbols=gene_symbols, species=species.value, key_added=_MODEL)
        columns = [f"{_MODEL}_{name}" for name in ("label", "prob", "status")]
        of_cells = adata.obs[columns].join(adata.obsm[f"{_MODEL}_proba"].add_prefix("proba_"))
        counts = adata.obs[columns[0]].value_counts(sort=False).rename_axis("label").reset_index(name="n_cells")
        return {"cells": of_cells.rename_axis("cell"), "labels": counts.assign(share=counts["n_cells"] / adata.n_obs)}

    if out is None and table is None and not in_place:
        raise ParameterError(NO_OUTPUT)
    _analyse(source, run, _show.shown_labels, _MODEL, (out, table, overwrite, in_place), (quiet, as_json))


@app.command()
def plot(
    source: Annotated[Path, Argument(metavar="IN", help="An annotated h5ad file or zarr folder.")],
    kind: Annotated[Figure, Argument(metavar="KIND", help=f"One of {', '.join(Figure)}.")],
    out: Annotated[Path, Option("--out", "-o", metavar="OUT", help="Figure to write: .png, .pdf or .svg.")],
    groupby: Annotated[str | None, Option(metavar="COLUMN", help="Groups: a column of obs, or an axis.")] = None,
    sample_key: Annotated[str | None, Option(metavar="COLUMN", help="Column of obs with the sample.")] = None,
    condition: Annotated[
        str | None, Option(metavar="COLUMN", help="Column of obs with the condition of each sample.")
    ] = None,
    axis: Annotated[Axis | None, Option(help="Labels or signatures of this axis.")] = None,
    signatures: Annotated[list[str] | None, Option(help="Id of a signature; may be repeated.")] = None,
    basis: Annotated[str | None, Option(help="Embedding in obsm: umap, pca. Default: the first found.")] = None,
    dpi: Annotated[int, Option(min=20, max=1200, help="Resolution of a .png.")] = 150,
    key: options.Key = "tam",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw a figure of an annotated file.

    composition, composition_tests and ferroptosis summarise samples: give --sample-key (and --condition), or
    a file written by tamannot compare. enrichment and crosstalk draw what these commands wrote with -o.
    """
    given: dict[str, Any] = {"groupby": groupby, "axis": axis and axis.value, "signatures": signatures, "basis": basis}
    given |= {"sample_key": sample_key, "condition": condition}
    given = {name: value for name, value in given.items() if value is not None}
    function, of_summary = getattr(pl, kind.value), _SUMMARIES.get(kind, ())
    known, summarised = inspect.signature(function).parameters, of_summary if "sample_key" in given else ()
    if unknown := [name for name in given if name not in known and name not in summarised]:
        option = f"--{unknown[0].replace('_', '-')}"
        more = " without --sample-key" if unknown[0] in of_summary else ""
        raise ParameterError(f"The figure {kind.value} does not use {option}{more}. Leave it out.")
    for_figure = {name: value for name, value in given.items() if name in known}
    for_summary = {name: value for name, value in given.items() if name in summarised}

    def draw(adata: AnnData) -> Any:
        if for_summary:  # nothing of it is written to the file
            make = tl.ferroptosis_summary if kind is Figure.FERROPTOSIS else tl.composition
            make(adata, for_summary.pop("sample_key"), key=key, **for_summary)
        return function(adata, key=key, **for_figure)

    with _show.stages(quiet=quiet) as progress, _show.print_notes(quiet=quiet):
        files.plot_file(source, out, draw, key=key, dpi=dpi, overwrite=overwrite, report=progress)
    if not quiet:
        typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


def malignant_of(words: Sequence[str], columns: Sequence[str]) -> str | tuple[str, list[str]]:
    """Return which cells are malignant: a column, or a column and its values."""
    if len(words) == 1 and (words[0] in columns or "=" not in words[0]):
        return words[0]
    pairs = [word.partition("=")[::2] for word in words]
    if len({column for column, _ in pairs}) > 1 or not all(value for _, value in pairs):
        raise ParameterError(
            f"--malignant takes values of one column, such as cell_type=Malignant, not {' and '.join(words)}."
        )
    return pairs[0][0], [value for _, value in pairs]


def _analyse(
    source: Path,
    run: Callable[[AnnData], _show.Tables],
    shown: Callable[[_show.Tables], Sequence[Sequence[object]]],
    key: str,
    asked: tuple[Path | None, Path | None, bool, bool],
    how: tuple[bool, bool],
) -> None:
    """Analyse a file; ``asked`` are --out, --table, --overwrite and --in-place, ``how`` are --quiet and --json."""
    out, table, overwrite, in_place = asked
    quiet, as_json = how
    outputs = files.Outputs(out, table, overwrite=overwrite, in_place=in_place)
    with _show.stages(quiet=quiet) as progress:
        found = files.analyse_file(source, run, outputs, key=key, report=progress)
    _show.print_analysis(found, shown, as_json=as_json, quiet=quiet)
