"""The output of the command line: results to stdout, progress to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tamannot._progress import Progress
from tamannot._settings import settings
from tamannot.cli._options import as_options
from tamannot.errors import collected_notes, printable, some_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console
    from rich.text import Text

    from tamannot.io import Analysis, FileCheck, FileSummary, ScoreSummary, TrainSummary
    from tamannot.signature import Signature

Tables = Mapping[str, "DataFrame"]
Summary = TypeVar("Summary", "FileCheck", "FileSummary", "ScoreSummary", "TrainSummary")

# Names and signatures that are shown of a list.
_FEW, _NAMES, _TOP = 8, 10, 3
# Where the output is no terminal it is read by programs or later: a row is one line.
_WIDE = 240


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console  # noqa: PLC0415 - --help does without rich

    terminal = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return terminal if stderr or terminal.is_terminal else Console(highlight=False, soft_wrap=True, width=_WIDE)


def _text(words: str, style: str = "") -> Text:
    """Return a text to print; names from a file cannot move the cursor or hide what is said."""
    from rich.text import Text  # noqa: PLC0415

    return Text(printable(words), style=style)


def _print(words: str, style: str = "") -> None:
    _console().print(_text(words, style))


def _print_lines(lines: Iterable[tuple[str, str]], *, width: int) -> None:
    """Print lines after their labels, which are so wide."""
    for label, words in lines:
        _console().print(_text(f"{label:<{width}}", style="bold"), _text(words), sep="")


@contextmanager
def stages(*, quiet: bool) -> Iterator[Progress]:
    """Show the stage that a run is in and how far it is; what is computed shows its own, unless it shall be quiet."""
    progress, before = Progress(show=not quiet, after=0.5 if sys.stderr.isatty() else 5.0), settings.progress
    settings.progress = False if quiet else before
    try:
        yield progress
    finally:
        progress.close()
        settings.progress = before


def in_options(summary: Summary) -> Summary:
    """Return a summary whose notes name options."""
    return dataclasses.replace(summary, notes=tuple(map(as_options, summary.notes)))


def print_summary(summary: FileSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what was found: cells, macrophages, origins, states, who is unassigned and why."""
    summary = in_options(summary)
    if as_json:
        print(json.dumps(dataclasses.asdict(summary) | {"n_macrophages": summary.n_macrophages}, indent=2))
    if as_json or quiet:
        return
    n = summary.n_macrophages
    rivals = {k: v for k, v in summary.compartments.items() if k not in ("macrophage", "unassigned")}
    lines = [
        ("file", f"{summary.path}: {summary.n_obs:,} cells × {summary.n_vars:,} genes"),
        ("matrix", f"{summary.matrix} ({summary.kind}), genes by {summary.gene_ids}, {summary.species}"),
        ("macrophages", f"{n:,} of {summary.n_obs:,} cells ({n / max(summary.n_obs, 1):.1%})"),
        ("others", f"{counted(rivals)}; unassigned {summary.compartments.get('unassigned', 0):,}"),
        ("origins", _calls(summary.origins, summary.origin_status)),
        ("states", _calls(summary.states, summary.state_status)),
    ]
    if summary.labels:
        lines.append(("labels", counted(summary.labels)))
    if summary.low_coverage:
        worst = sorted(summary.low_coverage.items(), key=lambda item: item[1])
        shown = some_of([f"{name} {share:.0%}" for name, share in worst], _FEW)
        lines.append(("low coverage", f"{shown}: fewer than half of the genes are in the data"))
    if summary.substitutions:
        lines.append(("other names", _mapping(summary.substitutions)))
    lines += [("note", note) for note in summary.notes]
    lines += [("confidence", summary.confidence), *(("written", path) for path in summary.outputs)]
    _print_lines(lines, width=14)


def _calls(labels: dict[str, int], status: dict[str, int]) -> str:
    text = counted({k: v for k, v in labels.items() if k != "unassigned"})
    if not labels.get("unassigned"):
        return text
    from tamannot.get._evidence import REASONS  # noqa: PLC0415 - not all commands read annotations

    reasons = "; ".join(f"{REASONS[r]}: {n:,}" for r, n in status.items() if r in REASONS)
    return f"{text}; unassigned {labels['unassigned']:,} ({reasons})"


def counted(counts: Mapping[str, int]) -> str:
    """Return names with their numbers."""
    return ", ".join(f"{name} {n:,}" for name, n in counts.items()) or "none"


def _mapping(names: dict[str, str]) -> str:
    return some_of([f"{symbol} found as {found}" for symbol, found in names.items()], _NAMES)


def print_scores(summary: ScoreSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what was scored: coverage, mean and maximum of each signature."""
    summary = in_options(summary)
    if as_json:
        signatures = json.loads(summary.signatures.to_json(orient="index"))
        print(json.dumps(vars(summary) | {"signatures": signatures}, indent=2))
    if as_json or quiet:
        return
    _print(f"{summary.path}: {summary.n_obs:,} cells; {summary.method} on {summary.matrix} ({summary.kind})")
    rows = [
        (name, f"{row['n_present']:.0f} of {row['n_genes']:.0f}", f"{row['mean']:.3g}", f"{row['max']:.3g}")
        for name, row in summary.signatures.iterrows()
    ]
    print_table(("signature", "genes in the data", "mean", "max"), rows)
    lines = [("note", note) for note in summary.notes] + [("written", path) for path in summary.outputs]
    _print_lines(lines, width=9)


def print_training(summary: TrainSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what was learned: of labels the classes and metrics on held-out cells, of a cohort what was fitted."""
    summary = in_options(summary)
    if as_json:
        whole = dataclasses.asdict(summary)
        print(json.dumps(whole.pop("about") | whole, indent=2))
    if as_json or quiet:
        return
    about = summary.about
    if "labels" not in about:
        _print(f"{summary.path}: {about['n_macrophages']:,} macrophages of {about['n_cells']:,} cells")
        lines = [
            ("tissue", f"{about['tissue']}: {about['tissue_reason']}"),
            ("state", f"classifier for {', '.join(about['states'])}, {about['n_genes']:,} genes"),
        ]
    else:
        found, n_used = about["metrics"], about["training"]["n_used"]
        _print(f"{summary.path}: {len(about['classes'])} classes of '{about['labels']}'")
        rows = [
            (name, f"{n_used[name]:,}", _figure(m["precision"]), _figure(m["recall"]))
            for name, m in found["per_class"].items()
        ]
        print_table(("class", "cells", "precision", "recall"), rows)
        threshold = f"none reaches {found['target_accuracy']:g}: no labels will be assigned"
        if found["threshold"] is not None:
            right = f"{found['accuracy_called']:.1%} of them correctly"
            threshold = f"{found['threshold']:g}: assigns labels to {found['called']:.0%} of cells, {right}"
        lines = [
            ("held out", found["held_out"]),
            ("accuracy", f"{_figure(found['accuracy'])}; balanced {_figure(found['balanced_accuracy'])}"),
            ("macro-F1", _figure(found["macro_f1"])),
            ("ECE", _figure(found["ece"])),
            ("threshold", threshold),
        ]
    lines += [("note", note) for note in summary.notes] + [("written", path) for path in summary.outputs]
    _print_lines(lines, width=13)


def print_analysis(
    found: Analysis, shown: Callable[[Tables], Sequence[Sequence[object]]], *, as_json: bool, quiet: bool
) -> None:
    """Print the tables of an analysis as the rows that ``shown`` makes of them, and on stderr notes and cautions."""
    if as_json:
        said = {name: list(map(as_options, getattr(found, name))) for name in ("cautions", "notes")}
        # One row per cell is for files. An index with a name is a column: it says which sample a row is of.
        told = {n: t.reset_index() if t.index.name else t for n, t in found.tables.items() if t.index.name != "cell"}
        tables = {n: json.loads(t.to_json(orient="records")) for n, t in told.items()}
        about = {"path": found.path, "n_obs": found.n_obs, "parameters": dict(found.parameters)}
        print(json.dumps({**about, **tables, **said, "outputs": found.outputs}, indent=2))
    elif not quiet:
        columns, *rows = shown(found.tables)
        print_table(tuple(map(str, columns)), rows)
        _print_lines([("written", path) for path in found.outputs], width=9)
        _print_aside("note", found.notes)
        _print_aside("caution", found.cautions)


def shown_tests(tables: Tables) -> list[tuple[object, ...]]:
    """Return the tests of a comparison."""
    columns = ("label", "contrast", "share", "reference", "odds ratio", "95 % interval", "p", "q", "samples")
    rows = []
    for t in tables["tests"].itertuples():
        shares, effect = (_number(s, ".1%") for s in (t.share, t.share_reference)), _effect(t.odds_ratio, t.low, t.high)
        rows.append((t.label, t.contrast, *shares, *effect, _number(t.p, ".2g"), _number(t.q, ".2g"), t.n_samples))
    return [columns, *rows]


def shown_shares(tables: Tables) -> list[tuple[object, ...]]:
    """Return the shares of samples, one row each."""
    (shares,) = tables.values()
    value = "share" if "share" in shares else "expected_share"
    labels, totals = shares["label"].unique(), shares.drop_duplicates("sample").set_index("sample")["n_total"]
    wide = shares.pivot_table(index="sample", columns="label", values=value, observed=True)
    wide = wide.reindex(totals.index)
    rows = [(str(s), f"{totals[s]:,}", *(_number(wide.loc[s].get(c), ".1%") for c in labels)) for s in totals.index]
    return [("sample", "cells", *labels), *rows]


def shown_enrichment(tables: Tables) -> list[tuple[object, ...]]:
    """Return the names and the most enriched signatures of groups."""
    signatures, clusters = tables["signatures"], tables["clusters"]
    axes = [axis for axis in ("compartment", "origin", "state") if axis in clusters]
    rows = []
    for _, group in clusters.iterrows():
        best = signatures[(signatures["group"] == group["group"]) & (signatures["nes"] > 0)].nsmallest(_TOP, "rank")
        top = ", ".join(f"{name} {nes:.2f}" for name, nes in zip(best["signature"], best["nes"], strict=True))
        rows.append((group["group"], f"{group['n_cells']:,}", *(group[axis] for axis in axes), top))
    return [("group", "cells", *axes, "most enriched (NES)"), *rows]


def shown_associations(tables: Tables) -> list[tuple[object, ...]]:
    """Return associations across samples."""
    columns = ("macrophages", "malignant cells", "rho", "95 % interval", "p", "q", "adjusted rho", "p", "samples")
    rows = []
    for t in tables["tests"].itertuples():
        names, effect = (f"{t.measure} {t.tam}", t.malignant), _effect(t.rho, t.low, t.high)
        tests = (_number(t.p, ".2g"), _number(t.q, ".2g"), _number(t.rho_adjusted), _number(t.p_adjusted, ".2g"))
        rows.append((*names, *effect, *tests, t.n_samples))
    return [columns, *rows]


def shown_labels(tables: Tables) -> list[tuple[object, ...]]:
    """Return how many cells have each label."""
    rows = [(t.label, f"{t.n_cells:,}", _number(t.share, ".1%")) for t in tables["labels"].itertuples()]
    return [("label", "cells", "share"), *rows]


def _number(value: Any, how: str = ".2f") -> str:
    return "–" if value is None or value != value else f"{value:{how if abs(value) < 1e5 else '.1e'}}"


def _effect(value: Any, low: Any, high: Any) -> tuple[str, str]:
    return _number(value), _number(low) if low != low else f"{_number(low)} to {_number(high)}"


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def print_check(found: FileCheck, *, as_json: bool, quiet: bool) -> None:
    """Print what a file holds and how well it covers each signature."""
    found = in_options(found)
    if as_json:
        print(json.dumps(vars(found) | {"coverage": found.coverage.to_dict(orient="index")}, indent=2))
    if as_json or quiet:
        return
    end = ", with limitations:" if found.notes else ""
    _print(f"{found.path}: {found.n_obs:,} cells; can be annotated{end}")
    _print_lines([("note", note) for note in found.notes], width=8)
    for line in found.candidates:
        _print(f"  {'used' if line.startswith(f'{found.matrix}:') else '':<6}{line}")
    _print(f"  species {found.species}, genes by {found.gene_ids}")
    if found.substitutions:
        _print(f"  other names: {_mapping(found.substitutions)}")
    rows = [(name, r["n_genes"], r["n_present"], f"{r['coverage']:.0%}") for name, r in found.coverage.iterrows()]
    print_table(("signature", "genes", "in the data", "coverage"), rows)


@contextmanager
def print_notes(*, quiet: bool = False) -> Iterator[None]:
    """Print warnings and other notes of the library as one line each on stderr."""
    with collected_notes() as notes:
        yield
    if not quiet:
        _print_aside("note", notes)


def _print_aside(what: str, sentences: Iterable[str]) -> None:
    """Print sentences on stderr, where they do not mix with a table."""
    for sentence in sentences:
        _console(stderr=True).print(_text(f"{what}: {as_options(sentence)}"))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_text(str(cell)) for cell in row))
    _console().print(table)


def print_signature(signature: Signature) -> None:
    """Print what a signature means, its genes, and where each comes from."""
    _print(f"{signature.name}  {signature.title}", style="bold")
    flags = [signature.axis, signature.species, *signature.cell_ontology]
    flags += ["provisional"] * signature.provisional + ["read per sample, not per cell"] * (not signature.per_cell)
    _print(" · ".join(flags))
    for line in f"{signature.description.strip()}\n".split("\n"):
        _print(line)
    for part in signature.parts:
        if signature.modules:
            _print(f"module {part.name}", style="bold")
        rows = [
            (g.symbol, g.ensembl or "", g.direction, f"{g.weight:g}", ", ".join(g.references), g.note or "")
            for g in part.genes
        ]
        print_table(("gene", "Ensembl", "direction", "weight", "references", "note"), rows)
        for r in part.references:
            where = f"doi:{r.doi}" if r.doi else f"PMID {r.pmid}" if r.pmid else r.url or ""
            _print(f"  {r.key}: {r.citation} {where}{'' if r.checked else '  [unchecked]'}")
        print()
    print(f"digest {signature.digest}")
