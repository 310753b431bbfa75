"""What the command line prints: results to stdout, progress to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tamannot._progress import Progress
from tamannot.cli._options import as_options
from tamannot.errors import TamannotWarning, printable
from tamannot.signature import Signature

if TYPE_CHECKING:
    from tamannot.io import FileCheck, FileSummary, ScoreSummary, TrainSummary

Summary = TypeVar("Summary", "FileSummary", "ScoreSummary", "TrainSummary")

_FEW = 8
_NAMES = 10
# Where the output is no terminal it is read by programs or later: a row is one line.
_WIDE = 240


def _console() -> Console:
    terminal = Console(highlight=False, soft_wrap=True)
    return terminal if terminal.is_terminal else Console(highlight=False, soft_wrap=True, width=_WIDE)


def _text(words: str, style: str = "") -> Text:
    """Return a line to print; names from a file cannot move the cursor or hide what is said."""
    return Text(printable(words), style=style)


@contextmanager
def stages(*, quiet: bool) -> Iterator[Progress]:
    """Show the stage that a run is in and how far it is."""
    live = sys.stderr.isatty()
    progress = Progress(show=not quiet, after=0.5 if live else 5.0)
    try:
        yield progress
    finally:
        progress.close()


def in_options(summary: Summary) -> Summary:
    """Return a summary whose notes name options."""
    return dataclasses.replace(summary, notes=tuple(map(as_options, summary.notes)))


def print_summary(summary: FileSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what was found: cells, macrophages, origins, states, who is unassigned and why."""
    summary = in_options(summary)
    if as_json:
        print(json.dumps(dataclasses.asdict(summary) | {"n_macrophages": summary.n_macrophages}, indent=2))
        return
    if quiet:
        return
    console = _console()
    for label, text in _summary_lines(summary):
        console.print(_text(f"{label:<14}", style="bold"), _text(text), sep="")


def print_scores(summary: ScoreSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what was scored: coverage, mean and maximum of each signature."""
    summary = in_options(summary)
    if as_json:
        fields = {f.name: getattr(summary, f.name) for f in dataclasses.fields(summary)}
        print(json.dumps(fields | {"signatures": json.loads(summary.signatures.to_json(orient="index"))}, indent=2))
        return
    if quiet:
        return
    console = _console()
    console.print(
        _text(f"{summary.path}: {summary.n_obs:,} cells; {summary.method} on {summary.matrix} ({summary.kind})")
    )
    rows = [
        (name, f"{row['n_present']:.0f} of {row['n_genes']:.0f}", f"{row['mean']:.3g}", f"{row['max']:.3g}")
        for name, row in summary.signatures.iterrows()
    ]
    print_table(("signature", "genes in the data", "mean", "max"), rows)
    for label, lines in (("note", summary.notes), ("written", summary.outputs)):
        for line in lines:
            console.print(_text(f"{label:<9}", style="bold"), _text(line), sep="")


def print_training(summary: TrainSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what was learned: of labels the classes and metrics on held-out cells, of a cohort what was fitted."""
    summary = in_options(summary)
    if as_json:
        whole = dataclasses.asdict(summary)
        print(json.dumps(whole.pop("about") | whole, indent=2))
        return
    if quiet:
        return
    console, about = _console(), summary.about
    lines = _of_labels(summary.path, about) if "labels" in about else _of_cohort(summary.path, about)
    lines += [("note", note) for note in summary.notes] + [("written", path) for path in summary.outputs]
    for label, text in lines:
        console.print(_text(f"{label:<13}", style="bold"), _text(text), sep="")


def _of_labels(path: str, about: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = about["metrics"]
    _console().print(_text(f"{path}: {len(about['classes'])} classes of '{about['labels']}'"))
    rows = [
        (name, f"{about['training']['n_used'][name]:,}", _figure(m["precision"]), _figure(m["recall"]))
        for name, m in found["per_class"].items()
    ]
    print_table(("class", "cells", "precision", "recall"), rows)
    return [
        ("held out", found["held_out"]),
        ("accuracy", f"{_figure(found['accuracy'])}; balanced {_figure(found['balanced_accuracy'])}"),
        ("macro-F1", _figure(found["macro_f1"])),
        ("ECE", _figure(found["ece"])),
        ("threshold", _threshold(found)),
    ]


def _of_cohort(path: str, about: Mapping[str, Any]) -> list[tuple[str, str]]:
    _console().print(_text(f"{path}: {about['n_macrophages']:,} macrophages of {about['n_cells']:,} cells"))
    return [
        ("tissue", f"{about['tissue']}: {about['tissue_reason']}"),
        ("state", f"classifier of {', '.join(about['states'])}, on {about['n_genes']:,} genes"),
    ]


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"


def _threshold(found: Mapping[str, Any]) -> str:
    if found["threshold"] is None:
        return f"none reaches {found['target_accuracy']:g}: no label will be given"
    called, right = found["called"], found["accuracy_called"]
    return f"{found['threshold']:g}, which labels {called:.0%} of cells, {right:.1%} of them right"


def print_check(found: FileCheck, *, as_json: bool, quiet: bool) -> None:
    """Print what a file holds and how well it covers each signature."""
    if as_json:
        fields: dict[str, Any] = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
        fields["notes"] = [as_options(note) for note in found.notes]
        print(json.dumps(fields | {"coverage": found.coverage.to_dict(orient="index")}, indent=2))
        return
    if quiet:
        return
    console = _console()
    end = "; see what will be missing:" if found.notes else ""
    console.print(_text(f"{found.path}: {found.n_obs:,} cells; can be annotated{end}"))
    for note in found.notes:
        console.print(_text(f"{'note':<8}", style="bold"), _text(as_options(note)), sep="")
    for line in found.candidates:
        chosen = "used  " if line.startswith(f"{found.matrix}:") else "      "
        console.print(_text(f"  {chosen}{line}"))
    console.print(_text(f"  species {found.species}, genes by {found.gene_ids}"))
    if found.substitutions:
        console.print(_text(f"  other names: {_mapping(found.substitutions)}"))
    console.print(_coverage_table(found))


@contextmanager
def print_notes() -> Iterator[None]:
    """Print our own warnings as one line each on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TamannotWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, TamannotWarning):
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                _text(f"note: {as_options(str(warning.message))}")
            )


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_text(str(cell)) for cell in row))
    _console().print(table)


def print_signature(signature: Signature) -> None:
    """Print what a signature means, its genes, and where each comes from."""
    console = _console()
    console.print(_text(f"{signature.name}  {signature.title}", style="bold"))
    flags = [signature.axis, signature.species, *signature.cell_ontology]
    flags += ["provisional"] * signature.provisional + ["read per sample, not per cell"] * (not signature.per_cell)
    console.print(_text(" · ".join(flags)))
    console.print(Text(signature.description.strip() + "\n"))
    for part in signature.parts:
        if signature.modules:
            console.print(_text(f"module {part.name}", style="bold"))
        _print_genes(part)
    print(f"digest {signature.digest}")


def _print_genes(signature: Signature) -> None:
    rows = [
        (g.symbol, g.ensembl or "", g.direction, f"{g.weight:g}", ", ".join(g.references), g.note or "")
        for g in signature.genes
    ]
    print_table(("gene", "Ensembl", "direction", "weight", "references", "note"), rows)
    console = _console()
    for r in signature.references:
        where = f"doi:{r.doi}" if r.doi else f"PMID {r.pmid}" if r.pmid else r.url or ""
        unchecked = "" if r.checked else "  [unchecked]"
        console.print(_text(f"  {r.key}: {r.citation} {where}{unchecked}"))
    console.print()


def _summary_lines(summary: FileSummary) -> list[tuple[str, str]]:
    n = summary.n_macrophages
    rivals = {k: v for k, v in summary.compartments.items() if k not in ("macrophage", "unassigned")}
    lines = [
        ("file", f"{summary.path}: {summary.n_obs:,} cells × {summary.n_vars:,} genes"),
        ("matrix", f"{summary.matrix} ({summary.kind}), genes by {summary.gene_ids}, {summary.species}"),
        ("macrophages", f"{n:,} of {summary.n_obs:,} cells ({n / max(summary.n_obs, 1):.1%})"),
        ("others", f"{_mapping_counts(rivals)}; unassigned {summary.compartments.get('unassigned', 0):,}"),
        ("origins", _calls(summary.origins, summary.origin_status)),
        ("states", _calls(summary.states, summary.state_status)),
    ]
    if summary.labels:
        lines.append(("labels", _mapping_counts(summary.labels)))
    if summary.low_coverage:
        worst = sorted(summary.low_coverage.items(), key=lambda item: item[1])
        shown = ", ".join(f"{name} {share:.0%}" for name, share in worst[:_FEW])
        more = f" and {len(worst) - _FEW} more" if len(worst) > _FEW else ""
        lines.append(("low coverage", f"{shown}{more}: fewer than half of the genes are in the data"))
    if summary.substitutions:
        lines.append(("other names", _mapping(summary.substitutions)))
    lines += [("note", note) for note in summary.notes]
    lines.append(("confidence", summary.confidence))
    lines += [("written", path) for path in summary.outputs]
    return lines


def _calls(labels: dict[str, int], status: dict[str, int]) -> str:
    called = {k: v for k, v in labels.items() if k != "unassigned"}
    text = _mapping_counts(called)
    if not labels.get("unassigned"):
        return text
    from tamannot.get._evidence import REASONS  # noqa: PLC0415 - not all commands read annotations

    reasons = "; ".join(f"{REASONS[r]} {n:,}" for r, n in status.items() if r in REASONS)
    return f"{text}; unassigned {labels['unassigned']:,} ({reasons})"


def _mapping_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items()) or "none"


def _mapping(names: dict[str, str]) -> str:
    shown = ", ".join(f"{symbol} found as {found}" for symbol, found in list(names.items())[:_NAMES])
    return f"{shown} and {len(names) - _NAMES:,} more" if len(names) > _NAMES else shown


def _coverage_table(found: FileCheck) -> Table:
    table = Table("signature", "genes", "in the data", "coverage", box=None, pad_edge=False)
    for name, row in found.coverage.iterrows():
        table.add_row(_text(str(name)), str(row["n_genes"]), str(row["n_present"]), f"{row['coverage']:.0%}")
    return table
