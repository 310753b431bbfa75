"""The record of the run under a key in ``uns``; each section is checked when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from tamannot.data import _sections as sections
from tamannot.errors import ResultNotFoundError

UNS = "tamannot"
LATEST = "latest"
SCORED = "scored"
JOINED = "joined"
# Sections that tell of calls, as against scores alone.
_CALLED = ("model", "learned", "evidence")


def _section(name: str, kind: Any, default: Callable[[], Any] | None = None) -> Any:
    """Return the attribute of a record that reads a section once."""
    return cached_property(lambda record: record.read(name, kind, default))


class RunRecord:
    """The record of the run under a key; a section is checked when it is read.

    ``stored`` is what ``uns`` holds: of `tl.score` or `tl.annotate`, of `Model.predict`, and of analyses. ``lost`` says
    why the record of the run itself is not there, for messages; it is empty if that is not known.
    """

    tamannot_version: str = _section("tamannot_version", str)  # the release that wrote it
    matrix: sections.MatrixOfRun = _section("matrix", sections.MatrixOfRun)  # the matrix that was read
    own_signatures: pd.DataFrame = _section("signatures", sections.SignatureTable)  # without what tl.score added
    substitutions: pd.DataFrame = _section("substitutions", sections.table(texts="found_as"))  # genes by other names
    counts: dict[str, dict[str, int]] = _section("counts", dict[str, dict[str, int]], dict)  # cells by axis and label
    null: sections.NullRecord = _section("null", sections.NullRecord, sections.NullRecord)  # which cells the null is of
    calibration_source: str = _section("calibration_source", str, str)  # of the probabilities; empty if unknown
    origin_middle: float = _section("origin_middle", float, lambda: float("nan"))  # z between origins; or NaN
    learned_from: dict[str, int] = _section("learned_from", dict[str, int], dict)  # how many cells, and macrophages
    ferroptosis: pd.DataFrame = _section("ferroptosis", sections.FerroptosisTable)  # meaning and signal of programs
    baselines: pd.DataFrame = _section(
        "baselines", sections.table("origin", "baseline"), lambda: pd.DataFrame({"origin": [], "baseline": []})
    )
    """By state and origin, z of macrophages in which the state is not active; empty where none was kept."""
    tissue: sections.TissueRecord | None = _section("tissue", sections.TissueRecord, lambda: None)  # None: it had none
    model: dict[str, Any] = _section("model", sections.ModelOfRun)  # how each axis was called, and by which model
    parameters: dict[str, Any] = _section("parameters", sections.Parameters, dict)  # of the call
    warnings: list[str] = _section("warnings", sections.TextList, list)  # the warnings of the run

    def __init__(self, key: str, stored: Mapping[str, Any], lost: str = "") -> None:
        self.key, self.stored, self._lost = key, stored, lost

    def has(self, section: str) -> bool:
        """Return whether the run has a section."""
        return section in self.stored

    @cached_property
    def joined_by(self) -> str | None:
        """The column of obs that tells which of the joined runs a cell is of; None for a single run."""
        return self.read(JOINED, sections.JoinedRecord).label if self.has(JOINED) else None

    def of_sample(self, sample: str) -> RunRecord:
        """Return the record of the run of a sample; of a single run itself."""
        if self.joined_by is None:
            return self
        runs = self.read(JOINED, sections.JoinedRecord).runs
        if variant_of(sample) not in runs:
            why = f"obs['{self.joined_by}'] has '{sample}', but the joined runs are {', '.join(runs)}."
            return RunRecord(self.key, {}, why)
        return RunRecord(self.key, runs[variant_of(sample)])

    @property
    def has_calls(self) -> bool:
        """Whether the run called labels, by signatures or by a model."""
        return any(name in self.stored for name in _CALLED)

    @cached_property
    def method(self) -> dict[str, Any]:
        """Name and parameters of the scoring method."""
        found = self.read("method", dict[str, Any])
        return {**found, "name": str(found.get("name", ""))}

    @cached_property
    def signatures(self) -> pd.DataFrame:
        """Version, axis and digest of each signature, those that were scored later last."""
        return self._with_scored("signatures", sections.SignatureTable)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """How many genes of each signature were in the data, and which were not."""
        return self._with_scored("coverage", sections.CoverageTable)

    @cached_property
    def gene_ids(self) -> NDArray[Any]:
        """The ids of the genes of the matrix."""
        return self._of_matrix("null_reference", self.read("null_reference", sections.NullReference).gene_ids)

    @cached_property
    def bins(self) -> NDArray[Any]:
        """The expression bin of each gene of the matrix."""
        if self.joined_by is not None:
            self._missing("null_reference")
        bins = self.read("null_reference", sections.NullReference).bin
        if bins is None:
            self._damaged("null_reference", "bin: Field required")
        return self._of_matrix("null_reference", bins)

    @cached_property
    def evidence(self) -> sections.EvidenceRecord:
        """The genes that made the calls."""
        found = self.read("evidence", sections.EvidenceRecord)
        for axis in found.bins.values():
            self._of_matrix("evidence", axis)
        columns = found.genes["column"].to_numpy()
        known = ((columns >= 0) & (columns < self.matrix.n_vars)).all()
        if not known or not found.genes["part"].isin(found.parts["part"]).all():
            self._damaged("evidence", "its genes are not those of the matrix")
        return found

    @cached_property
    def learned(self) -> dict[str, sections.LearnedRecord]:
        """By axis, the weights of the classifier; an axis without one is not there."""
        found: dict[str, sections.LearnedRecord] = self.read("learned", dict[str, sections.LearnedRecord], dict)
        for one in found.values():
            fits = one.column.size == len(one.weights) and one.intercept.size == one.weights.shape[1]
            if not fits or ((one.column < 0) | (one.column >= self.matrix.n_vars)).any():
                self._damaged("learned", "its weights are not of the genes of the matrix")
        return found

    @property
    def sample_key(self) -> str | None:
        """The column of samples that the run was given."""
        return self.parameters.get("sample_key")

    @property
    def latest(self) -> dict[str, str]:
        """Of analyses of several things, such as axes, what the latest was of."""
        found = self.stored.get(LATEST, {})
        return {str(name): str(of) for name, of in found.items()} if isinstance(found, Mapping) else {}

    def variants(self, name: str) -> dict[str, Mapping[str, Any]]:
        """Return the results of an analysis as they are stored, by what they are of; the latest is the last."""
        found = self.stored.get(name, {})
        if not isinstance(found, Mapping):
            self._damaged(name, f"it is a {type(found).__name__}")
        if any(not isinstance(one, Mapping) for one in found.values()):  # one alone, or of release 0.1.0
            # It is of what its own parameters say.
            known = {**found, **(p if isinstance(p := found.get("parameters"), Mapping) else {})}
            of = [known[by] for by in ("axis", "groupby", "region", "distance") if str(known.get(by, ""))]
            found = {variant_of(list(map(str, np.atleast_1d(of[0])))) if of else "all": found}
        return {str(of): found[of] for of in sorted(found, key=lambda of: of == self.latest.get(name))}

    def analyses(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the results of an analysis by what they are of; the latest is the last."""
        results = {}
        for of, stored in self.variants(name).items():
            found = self._check(f"{name}']['{of}", dict[str, Any], stored)
            for part, kind in sections.ANALYSES.get(name, {}).items():
                if part in found:
                    found[part] = self._check(f"{name}']['{of}']['{part}", kind, found[part])
            results[of] = found
        return results

    def _with_scored(self, section: str, kind: Any) -> pd.DataFrame:
        if SCORED not in self.stored:
            return self.read(section, kind)
        added: pd.DataFrame = getattr(self.read(SCORED, sections.ScoredRecord), section)
        own: pd.DataFrame = self.read(section, kind)
        return pd.concat([own[~own.index.isin(added.index)], added]).rename_axis("signature")

    def _of_matrix(self, section: str, values: NDArray[Any]) -> NDArray[Any]:
        if values.size != self.matrix.n_vars:
            self._damaged(section, f"it has {values.size:,} genes, the matrix {self.matrix.n_vars:,}")
        return values

    def read(self, section: str, kind: Any, default: Callable[[], Any] | None = None) -> Any:
        """Return a section, checked; if the run has none, what the default gives."""
        if section in self.stored:
            return self._check(section, kind, self.stored[section])
        if default is None:
            self._missing(section)
        return default()

    def _check(self, section: str, kind: Any, value: object) -> Any:
        try:
            return sections.validated(kind, value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            said = first["msg"].removeprefix("Value error, ")
            self._damaged(section, f"{where}: {said}" if where else said)

    def _missing(self, section: str) -> NoReturn:
        if self.joined_by is not None:
            msg = (
                f"'{section}' differs between the runs joined under the key '{self.key}': each sample of "
                f"obs['{self.joined_by}'] has its own. Use the object of that sample."
            )
        else:
            why = self._lost or f"uns['{UNS}']['{self.key}'] has no '{section}'."
            msg = (
                f"The record of the run under the key '{self.key}' is missing or incomplete: {why} Join objects that "
                "were annotated separately with tamannot.concat, which keeps their records, or run "
                "tamannot.tl.annotate(adata) on the joined object."
            )
        raise ResultNotFoundError(msg)

    def _damaged(self, section: str, how: str) -> NoReturn:
        raise ResultNotFoundError(
            f"The record of the run, uns['{UNS}']['{self.key}']['{section}'], is damaged or was edited: {how}. "
            "Run tamannot.tl.annotate(adata), or the function that wrote it, again."
        )


def variant_of(of: str | list[str]) -> str:
    """Return the name under which an analysis is kept: of one column, or of several that were crossed."""
    text = of if isinstance(of, str) else " | ".join(of)
    return text.replace("/", "|") or "all"
