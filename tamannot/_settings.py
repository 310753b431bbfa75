"""The global settings, the settings of one annotation, and the number of threads."""

from __future__ import annotations

import inspect
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import update_wrapper
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, cast, get_type_hints

from tamannot.errors import ParameterError, logger

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Tissue = Literal["auto", "brain", "other"]
SpeciesChoice = Literal["auto", "human", "mouse"]
CompartmentKey = str | tuple[str, Mapping[str, str]]
Verbosity = Literal["error", "warning", "info", "hint", "debug"]

# Those of scanpy. Nothing is logged as a hint.
_LEVELS: dict[Verbosity, int] = {"error": 40, "warning": 30, "info": 20, "hint": 15, "debug": 10}

_LIMITS = ("TAMANNOT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass
class Settings:
    """Global settings; none of them changes results.

    Parameters
    ----------
    threads
        Number of threads; None uses as many as the environment, the affinity and the container allow.
    progress
        Whether a run of more than five seconds shows its progress on stderr: a line that is updated in a
        terminal, elsewhere a new line every half minute. None is True; False is silent.
    """

    threads: int | None = None
    progress: bool | None = None

    @property
    def verbosity(self) -> Verbosity:
        """The level of the logger ``tamannot``: a name, or 0 to 4 as in scanpy; the default is ``"info"``.

        Results and choices are logged at info, and the seconds of each stage at debug. The lines go to the handlers of
        the application, or to stderr if it has none. Warnings do not depend on the level.
        """
        return min(_LEVELS, key=lambda name: abs(_LEVELS[name] - logger.level))

    @verbosity.setter
    def verbosity(self, verbosity: Verbosity | int) -> None:
        levels: dict[Any, int] = {**_LEVELS, **dict(enumerate(_LEVELS.values()))}
        if verbosity not in levels:
            raise ParameterError(f"settings.verbosity must be {', '.join(_LEVELS)}, or 0 to 4, not {verbosity!r}.")
        logger.setLevel(levels[verbosity])

    def n_threads(self) -> int:
        """Return the number of threads to use.

        Raises
        ------
        ParameterError
            ``threads`` is less than one.
        """
        if self.threads is None:
            return available_threads()
        if self.threads < 1:
            raise ParameterError(f"settings.threads must be at least 1, not {self.threads}.")
        return self.threads


settings = Settings()


@dataclass(frozen=True, kw_only=True)
class AnnotateSettings:
    """The settings of an annotation: arguments of `tl.annotate` or the command line, kept in the record."""

    model: object = None  # a model, the path of one, or a list of these; see `tl.annotate`
    layer: str | None = None
    gene_symbols: str | None = None
    species: SpeciesChoice = "auto"
    tissue: Tissue = "auto"
    compartment_key: CompartmentKey | None = None
    sample_key: str | None = None
    target_accuracy: float = 0.95
    rng: int = 0
    sample: str | None = None  # the sample of all cells if there is no column: one file of a cohort
    portable: bool = False  # whether the fit is for other data as well; it then knows which cells are unlike its own
    recorded: tuple[str, ...] | None = None  # settings that the caller could pass, for the record; None: all

    def check(self) -> None:
        """Raise a ParameterError for values out of range; column names are checked with the data."""
        if self.tissue not in ("auto", "brain", "other"):
            raise ParameterError(f"tissue must be 'auto', 'brain' or 'other', not {self.tissue!r}.")
        if not 0 < self.target_accuracy < 1:
            raise ParameterError(f"target_accuracy={self.target_accuracy} is not between 0 and 1.")

    def parameters(self) -> dict[str, Any]:
        """Return the settings for the record of a run; models are recorded elsewhere."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = set(values) if self.recorded is None else {*self.recorded, "sample"}
        kept -= {"model", "portable", "recorded"}
        return {name: value for name, value in values.items() if name in kept and value is not None}


class UseRaw(TypedDict, total=False):
    """What scanpy calls the choice of a matrix."""

    use_raw: bool | None


class ScanpyWords(UseRaw, total=False):
    """What scanpy calls the choice of a matrix and the seed."""

    random_state: int | None


_WORDS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "use_raw": ("layer", lambda raw: "raw" if raw else "X", 'As in scanpy: True is ``layer="raw"``, False ``"X"``.'),
    "random_state": ("rng", lambda seed: seed, "As in scanpy: another name of ``rng``."),
}


def takes_scanpy_words(words: type) -> Callable[[F], F]:
    """Return a decorator: the function also takes scanpy's names of ``rng`` and ``layer``, not both at once."""
    names = [name for name in _WORDS if name in words.__annotations__]
    doc = "".join(f"{name}\n    {_WORDS[name][2]}\n" for name in names)

    def decorate(function: F) -> F:
        def taking(*args: Any, **kwargs: Any) -> Any:
            signature.bind(*args, **kwargs)  # refuses what is no parameter
            for name in names:
                ours, meant, _ = _WORDS[name]
                if (value := kwargs.pop(name, None)) is None:
                    continue
                if kwargs.get(ours) is not None:
                    raise ParameterError(f"{name}={value!r} and {ours}={kwargs[ours]!r} say the same. Give only one.")
                kwargs[ours] = meant(value)
            return function(*args, **kwargs)

        signature = with_options(taking, function, words, dict.fromkeys(names), doc)
        return cast("F", taking)

    return decorate


def with_options(
    wrapper: Callable[..., Any], function: Callable[..., Any], options: type, defaults: Mapping[str, Any], doc: str
) -> inspect.Signature:
    """Give a wrapper the signature and help of its function, with the fields of a TypedDict in place of ``**``.

    Annotations of the options are types and not their names, which the module of the function need not know.
    """
    kinds, whole = options.__annotations__, inspect.signature(function)
    types = {name: getattr(kinds[name], "__forward_arg__", str(kinds[name])) for name in defaults}
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(n, keyword, default=defaults[n], annotation=kind) for n, kind in types.items()]
    own = [p for p in whole.parameters.values() if p.kind is not p.VAR_KEYWORD]
    signature = whole.replace(parameters=[*own, *added])
    before, heading, after = inspect.cleandoc(function.__doc__ or "").partition("\nReturns\n-------")
    annotations = {name: kind for name, kind in function.__annotations__.items() if "Unpack[" not in str(kind)}
    update_wrapper(wrapper, function)
    wrapper.__signature__ = signature  # type: ignore[attr-defined]
    wrapper.__annotations__ = annotations | get_type_hints(options)
    wrapper.__doc__ = before + (doc if "\nParameters\n" in before else "") + heading + after
    return signature


DEFAULT_ACCURACY = AnnotateSettings().target_accuracy


def available_threads() -> int:
    """Return the number of threads that the environment, the affinity and the container allow."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    limits += [int(v) for name in _LIMITS if (v := os.environ.get(name, "")).isdecimal() and int(v) > 0]
    with suppress(OSError, ValueError):
        quota, period = _QUOTA.read_text().split()
        limits.append(int(int(quota) / int(period)))
    return max(1, min(limits))


def in_order(work: Callable[[int, int], T], n_rows: int, *, threads: int, step: int) -> Iterator[T]:
    """Yield ``work(start, stop)`` of consecutive blocks of ``step`` rows, in order, only a few computed ahead."""
    spans = [(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
    if threads == 1 or len(spans) < 2:
        for start, stop in spans:
            yield work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for start, stop in spans:
                waiting.append(pool.submit(work, start, stop))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
