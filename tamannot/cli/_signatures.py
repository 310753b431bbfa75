"""``tamannot signatures``: the library on the command line."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

import tamannot as tam
from tamannot._resources import resource_path
from tamannot.cli._show import print_notes, print_signature, print_table
from tamannot.errors import OutputError, SignatureFormatError, SignatureNotFoundError, among, printable

if TYPE_CHECKING:
    from tamannot.signature import Signature, SignatureSet

app = typer.Typer(help="List, show, validate, lock, export and compare signatures.", no_args_is_help=True)

Species = StrEnum("Species", {"HUMAN": "human", "MOUSE": "mouse"})
Format = StrEnum(
    "Format", {"GMT": "gmt", "JSON": "json", "NETWORK": "network", "UCELL": "ucell", "SCGATE": "scgate", "TOML": "toml"}
)
GeneIds = StrEnum("GeneIds", {"SYMBOL": "symbol", "ENSEMBL": "ensembl"})

SpeciesOption = Annotated[Species, Option(help="Species of the signatures.")]
AxisOption = Annotated[str | None, Option(help="Only this axis: state, origin, compartment, …")]
LibraryOption = Annotated[Path | None, Option("--signatures", help="Your own files instead of the bundled ones.")]
AsJson = Annotated[bool, Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    axis: AxisOption = None,
    species: SpeciesOption = Species.HUMAN,
    signatures: LibraryOption = None,
    as_json: AsJson = False,
) -> None:
    """List the signatures: id, version, axis, number of genes, title."""
    rows = [(s.id, s.version, s.axis, len(s.all_genes), s.title) for s in _chosen(axis, species, signatures).values()]
    columns = ("id", "version", "axis", "genes", "title")
    if as_json:
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
    else:
        print_table(columns, rows)


@app.command()
def show(
    name: Annotated[str, Argument(metavar="ID[@VERSION]")],
    species: SpeciesOption = Species.HUMAN,
    as_json: AsJson = False,
) -> None:
    """Show a signature: its meaning, its genes, and their sources."""
    from tamannot.signature._exchange import to_json  # noqa: PLC0415

    signature = tam.load_signature(name, species=species.value)
    if as_json:
        typer.echo(to_json([signature], "symbol"), nl=False)
    else:
        print_signature(signature)


@app.command()
def validate(
    path: Annotated[Path | None, Argument(help="A file or a library folder. Default: the bundled library.")] = None,
) -> None:
    """Check signature files.

    Prints each error with its file, line and reason, and exits with 2 if there are any.
    """
    _refuse_faults(folder := path or resource_path("signatures"))
    typer.echo(printable(f"{folder}: no faults"))


@app.command()
def lock(folder: Annotated[Path, Argument(metavar="FOLDER", help="Your library folder.")]) -> None:
    """Add the files of your library to its lock.json.

    From then on, `validate` reports a listed file that changed or is missing. Run it again to add new files. If the
    library has errors, nothing is written.
    """
    from tamannot.signature._toml import write_whole  # noqa: PLC0415
    from tamannot.signature._validate import LOCK, extended  # noqa: PLC0415

    if folder.is_file():
        raise SignatureFormatError(f"{folder} is a file. Give the folder of a library.")
    _refuse_faults(folder)
    text, added, n_before = extended(folder)
    if added:
        write_whole(folder / LOCK, text)
    typer.echo(printable(f"{folder / LOCK}: {len(added)} file{'s' * (len(added) != 1)} added, {n_before} there before"))


@app.command()
def export(
    out: Annotated[Path, Option("--out", "-o", metavar="PATH", help="File to write; for toml a folder.")],
    file_format: Annotated[Format, Option("--format", help="Format of the file.")],
    ids: Annotated[list[str] | None, Argument(metavar="[ID…]", help="Which signatures. Default: all.")] = None,
    axis: AxisOption = None,
    species: SpeciesOption = Species.HUMAN,
    signatures: LibraryOption = None,
    gene_ids: Annotated[GeneIds, Option("--ids", help="Symbols or Ensembl ids.")] = GeneIds.SYMBOL,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Write signatures for Seurat, UCell, GSEA, decoupler or scGate."""
    from tamannot.io._output import check_target, is_same  # noqa: PLC0415

    if ids and signatures is None and axis is None:
        chosen = tam.SignatureSet(tam.load_signature(i, species=species.value) for i in ids)
    else:
        chosen = _chosen(axis, species, signatures)
        if unknown := [i for i in ids or [] if i not in chosen]:
            raise SignatureNotFoundError(f"No signature '{unknown[0]}'.{among(unknown[0], chosen)}")
        chosen = tam.SignatureSet(chosen[i] for i in ids) if ids else chosen
    if file_format is not Format.TOML:
        if signatures is not None and is_same(out, signatures):  # most formats hold less than the file that was read
            raise OutputError(f"{out} is the input. Choose another name.")
        check_target(out, overwrite=overwrite)
    with print_notes():
        tam.write_signatures(chosen, out, format=file_format.value, ids=gene_ids.value)
    typer.echo(printable(f"{out}: {len(chosen)} signatures"))


@app.command()
def diff(
    before: Annotated[str, Argument(metavar="A", help="ID@VERSION, or a file.")],
    after: Annotated[str, Argument(metavar="B", help="ID@VERSION, or a file.")],
    species: SpeciesOption = Species.HUMAN,
) -> None:
    """Show the differences between two signatures.

    Lists the genes that B adds and removes, and those with another direction or weight.
    """
    from tamannot.signature._validate import difference  # noqa: PLC0415

    added, removed, changed = difference(_one(before, species), _one(after, species))
    for mark, gene in [*(("+", gene) for gene in added), *(("-", gene) for gene in removed)]:
        typer.echo(f"{mark} {gene.symbol}\t{gene.direction}\t{gene.weight:g}")
    for old, new in changed:
        typer.echo(f"~ {new.symbol}\t{old.direction} {old.weight:g} -> {new.direction} {new.weight:g}")
    if not (added or removed or changed):
        typer.echo("same genes, directions and weights")


@app.command()
def new(
    name: Annotated[str, Argument(metavar="ID", help="Lower-case letters, digits and _.")],
    folder: Annotated[Path, Option("--signatures", help="Your library folder.")] = Path("signatures"),
    species: SpeciesOption = Species.HUMAN,
) -> None:
    """Write a template of a signature file.

    `tamannot signatures validate` accepts it when your genes, sources and description are filled in.
    """
    from tamannot.signature._toml import write_template  # noqa: PLC0415

    typer.echo(printable(f"{write_template(name, folder, species.value)}: fill in genes, description and references"))


def _refuse_faults(folder: Path) -> None:
    """Print the faults of a file or library; end with them if there are any."""
    from tamannot.signature._validate import validate as faults_of  # noqa: PLC0415

    faults = faults_of(folder)
    for fault in faults:
        typer.echo(printable(str(fault)))
    if faults:
        raise SignatureFormatError(f"{len(faults)} fault{'s' * (len(faults) != 1)} in {folder}.")


def _chosen(axis: str | None, species: Species, folder: Path | None) -> SignatureSet:
    if folder is None:
        return tam.load_signatures(axis, species=species.value)
    own = tam.read_signatures(folder)
    return own.select(axis=axis) if axis else own


def _one(name: str, species: Species) -> Signature:
    if Path(name).suffix != ".toml" and not Path(name).exists():
        return tam.load_signature(name, species=species.value)
    members = list(tam.read_signatures(name).values())
    if len(members) != 1:
        raise SignatureFormatError(f"{name}: has {len(members)} signatures; give a file with one.")
    return members[0]
