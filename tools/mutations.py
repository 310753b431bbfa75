"""Plant faults in a copy of the package, one at a time, and see whether the tests catch them.

usage: python tools/mutations.py [WORD …]

Each line of `FAULTS` is a fault: the function it is in (of any file; "" for a line outside functions), the text there,
the text in its place, and the tests that have to fail. With words, only faults whose text has one of them are planted.
Exit code 1: a fault was missed, or its place is no longer found, which is to be mended here.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
import scanpy  # noqa: F401 - what is imported here, no run has to import again
import sklearn.linear_model  # noqa: F401

ROOT = Path(__file__).parent.parent
COPIED = ("tamannot", "tests", "signatures", "example_data", "pyproject.toml")
TIMEOUT = 900
FORK = get_context("fork")

FAULTS = [
    # ranks and scores
    (
        "depth_of",
        "max(k - (above + 0.5 * (size + 1.0)), 0.0)",
        "max(k - (above + 0.5 * size), 0.0)",
        "scoring/test_ranks.py",
    ),
    ("depth_of", "if rank <= k else 0.0", "if rank < k else 0.0", "scoring/test_ranks.py scoring/test_ucell.py"),
    ("depth_of", "0.5 * inside * (inside + 1.0) / size", "0.5 * inside * inside / size", "scoring/test_ranks.py"),
    ("count_above", "if values[other] > mine", "if values[other] >= mine", "scoring/test_ranks.py"),
    ("rank_rows", "zeros -= sizes[k]", "zeros -= 1", "scoring/test_ranks.py"),
    ("finish_scores", "-w_neg * u", "-u", "scoring/test_sums.py scoring/test_ucell.py"),
    ("finish_scores", "best = max(best, score)", "best = score", "scoring/test_sums.py scoring/test_ucell.py"),
    ("coverage", "sorted({symbol for arm in arms", "sorted({symbol for arm in arms[:1]", "scoring/test_plan.py"),
    ("score_all", "c.share < asked.min_coverage", "c.share <= asked.min_coverage", "tl/test_score.py"),
    # the matched null
    ("null_z", "m2 - m1 * m1", "m2", "scoring/test_null.py"),
    ("null_z", "2.0 * m1 * m1 * m1", "m1 * m1 * m1", "scoring/test_null.py"),
    ("merge_bins", "n / np.maximum(n - 1, 1)", "n / np.maximum(n, 1)", "scoring/test_null.py"),
    ("_spans", "if size >= 2 * genes + 10", "if size >= 2 * genes + 9", "scoring/test_null.py"),
    ("_tails", "n_present[s] < MIN_GENES", "n_present[s] <= MIN_GENES", "scoring/test_null.py"),
    ("null_bins", 'side="right"', 'side="left"', "scoring/test_null.py"),
    ("null_sums", "zeros * zero * zero * zero", "zeros * zero * zero", "scoring/test_sums.py"),
    ("scores", "np.maximum(known, 1) * np.log1p", "np.log1p", "scoring/test_ucell.py"),
    # baselines
    ("fit_activities", "_ALIKE * np.maximum(", "0 * np.maximum(", "classify/test_activity.py"),
    ("fit_activities", "min(plausible[s], of_all + distance[s])", "plausible[s]", "classify/test_activity.py"),
    ("_deconvolved", "_LOW_END + 1 / weight.sum()", "_LOW_END", "classify/test_activity.py"),
    # p-values, intervals, correlations
    (
        "benjamini_hochberg",
        "false_discovery_control(p[known])",
        'false_discovery_control(p[known], method="by")',
        "stats",
    ),
    ("spearman", "(1 + as_much.sum()) / (1 + len(shuffled))", "as_much.mean()", "stats"),
    ("smallest_p", "2 / math.factorial(n)", "1 / math.factorial(n)", "stats"),
    ("wilson", "(k + z2 / 2) / (n + z2)", "(k + z2) / (n + z2)", "stats"),
    ("compare_shares", "fit.inverse * (fit.x2 / df)", "fit.inverse + 0 * (fit.x2 / df)", "stats"),
    ("compare_shares", "np.where(half_added[:, None], n + 1, n)", "np.where(half_added[:, None], n + 0.5, n)", "stats"),
    ("over_samples", "np.sqrt(squares / df)", "np.sqrt(squares / n)", "stats"),
    ("vote_among_neighbours", "first - second > _SAME * voters", "first - second >= 0 * voters", "stats"),
    # calibration and labels of the user
    ("reliability", "@ count / p.size", "@ np.ones(count.size) / count.size", "stats"),
    ("calibrate", "residual = weight[:, None] *", "residual = 1 *", "classify/test_labels.py"),
    (
        "_held_out",
        "fit_multinomial(x[train], y[train]",
        "fit_multinomial(x, y",
        "tl/test_train.py::test_labels_of_noise_give_no_label_and_a_warning",
    ),
    (
        "_held_out",
        "if n_samples > 1 else StratifiedKFold(_FOLDS)",
        "if n_samples > 99 else StratifiedKFold(_FOLDS)",
        "tl/test_train.py",
    ),
    ("lower_bound", "beta.ppf(1 - _LEVEL", "beta.ppf(_LEVEL", "classify/test_labels.py"),
    ("lower_bound", "used.size / (used.size - 1)", "1.0", "classify/test_labels.py"),
    (
        "predict_labels",
        "classifier.threshold] = ASSIGNED",
        "classifier.threshold - 0.2] = ASSIGNED",
        "classify/test_labels.py",
    ),
    # compartments, doublets
    ("call_compartment", "margin + _PER_Z *", "margin - _PER_Z *", "classify/test_rules.py"),
    ("call_compartment", "detected < _FEWEST_DETECTED", "detected <= _FEWEST_DETECTED", "classify/test_rules.py"),
    ("call_compartment", "< _LEAST_PROB] = AMBIGUOUS", "< 0] = AMBIGUOUS", "classify/test_rules.py"),
    ("mixed_lineage", "rival.max(axis=1, initial=0.0)", "rival.min(axis=1, initial=0.0)", "classify/test_rules.py"),
    (
        "is_doublet",
        "(rival > level) & (panel_z > _PANEL_Z)",
        "(rival > level) | (panel_z > _PANEL_Z)",
        "classify/test_rules.py",
    ),
    ("doublet_thresholds", "np.median(np.abs(of_sample - middle), axis=0)", "0.0", "classify/test_rules.py"),
    # origins and states
    ("", "_LEAD = 1.0", "_LEAD = 0.0", "classify/test_rules.py"),
    ("call_origin", "monocyte &= z[:, 1] > _SUPPORT_Z", "monocyte &= z[:, 1] > -9", "classify/test_rules.py"),
    ("call_origin", "(z[:, 2] > _BORDER_Z) &", "(z[:, 2] > 0) &", "classify/test_rules.py"),
    ("find_middle", "(n * between + _PRIOR_CELLS * _MIDDLE)", "(n * between)", "classify/test_rules.py"),
    ("call_state", "lead > _LEAST_LEAD", "lead > 0", "classify/test_rules.py"),
    ("call_state", "dual = ~found & _both_arms(scores)", "dual = _both_arms(scores)", "classify/test_rules.py"),
    ("call_state", "np.asarray(coverage) >= FEW_GENES", "np.asarray(coverage) > FEW_GENES", "classify/test_rules.py"),
    ("_both_arms", "(lesser > _LESSER_ARM * greater)", "(lesser > 0 * greater)", "classify/test_rules.py"),
    ("only_macrophages", "prob[~is_macrophage] = np.nan", "prob[~is_macrophage] = 0", "classify/test_rules.py"),
    # which matrix, which genes, which species
    ("locate", "if found_as in self._repeated", "if not found_as", "signature/test_gene_index.py"),
    ("_settled_species", "rest <= _STRAY * sum(cells)", "rest <= 0.5 * sum(cells)", "data/test_species.py"),
    ("_by_gene", "rising < _RARE_IS_LARGE", "rising < -2", "data/test_kinds.py"),
    ("judge_rows", '"" if whole or n < _FEWEST_ROWS', '"" if True', "data/test_kinds.py"),
    # slots
    ("write_tables", "adata.obsm.pop(name, None)", "pass", "tl/test_score.py"),
    ("forget_run", "adata.obs = adata.obs.drop(columns=gone)", "pass", "io tl/test_vote.py tl/test_concat.py"),
    ("write_analysis", "if k != variant", "if False", "tl/test_sequences.py"),
    ("vote_among_neighbours", "np.where(absent, ABSENT, winner)", "winner", "stats tl/test_vote.py"),
    # analyses
    ("sides_of", '"program": called & ~malignant', '"program": called', "tl/test_crosstalk.py"),
    ("mean", "np.where(of, self.codes, -1)", "self.codes", "tl/test_crosstalk.py"),
    ("_by_sample_and_label", "np.divide(k, total,", "np.divide(k, total.max(),", "tl/test_composition.py"),
    ("_effects", "(n[:, i] >= min_cells)", "(n[:, i] > min_cells)", "tl/test_ferroptosis_summary.py"),
    ("_without_ties", "np.diff(out) >= 0", "np.diff(out) > 0", "tl/test_enrich.py"),
    ("neighbour_weights", "** (place + 1.0)", "** place", "tl/test_smooth.py"),
    ("_beyond", "values[:, None] <= values, NOT", "values[:, None] < values, NOT", "tl/test_claims.py"),
    # files
    ("replacing", "beside = part_of(place)", "beside = place", "io"),
    ("_clear", "old.replace(place)", "pass", "io"),
    ("check_target", "and not overwrite and not is_source", "and False", "io"),
    ("check_space", "if need > free", "if need > 2 * free", "io"),
    ("", '_STARTS = ("=", "+", "-", "@")', '_STARTS = ("=", "+", "-")', "io"),
]


def main() -> int:
    """Plant all faults, or those asked for; print what became of each."""
    chosen = [f for f in FAULTS if not sys.argv[1:] or any(w in " ".join(f) for w in sys.argv[1:])]
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        for number, fault in enumerate(chosen, 1):
            copy_to(tree)
            began, outcome = time.monotonic(), planted(tree, *fault)
            outcomes.append(outcome)
            print(
                f"{number:3} {outcome:9} {time.monotonic() - began:4.0f} s  {fault[0] or '-'}: {fault[1]}", flush=True
            )
    print(", ".join(f"{outcomes.count(o)} {o}" for o in sorted(set(outcomes))), f"of {len(chosen)}")
    return int(set(outcomes) != {"caught"})


def copy_to(tree: Path) -> None:
    """Make a fresh copy of the tree, compiled kernels included."""
    shutil.rmtree(tree, ignore_errors=True)
    for name in COPIED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, tree / name)  # type: ignore[operator]
        tree.mkdir(exist_ok=True)


def planted(tree: Path, function: str, old: str, new: str, tests: str) -> str:
    """Plant one fault and run the tests; return what became of it."""
    # Line breaks and blanks are the formatter's.
    pattern = re.compile(r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", old))))
    places = [
        (path, match.span())
        for path in sorted((tree / "tamannot").rglob("*.py"))
        for text in [path.read_text(encoding="utf-8")]
        if f"def {function}(" in text or not function
        for start, stop in spans(text, function)
        for match in pattern.finditer(text, start, stop)
    ]
    if len(places) != 1:
        return "not found" if not places else "ambiguous"
    path, (start, stop) = places[0]
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:start] + new + text[stop:], encoding="utf-8")
    if "@njit" in text:  # a kernel compiled before may hold the function as it was
        for kernel in (tree / "tamannot").rglob("*.nbi"):
            kernel.unlink()
    child = FORK.Process(target=run_tests, args=(tree, tests.split()))
    child.start()
    child.join(TIMEOUT)
    if child.exitcode is None:  # a loop without end
        child.kill()
        return "caught"
    return {0: "missed", 1: "caught"}.get(child.exitcode, "broken")


def run_tests(tree: Path, tests: list[str]) -> None:
    """Run tests of the copy, in a process forked for it, until the first that fails."""
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *(f"tests/{t}" for t in tests)])))


def spans(text: str, function: str) -> Iterator[tuple[int, int]]:
    """Give out where a function of that name begins and ends; without a name, the whole text."""
    if not function:
        yield 0, len(text)
        return
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            yield starts[node.lineno - 1], starts[node.end_lineno or node.lineno]


if __name__ == "__main__":
    sys.exit(main())
