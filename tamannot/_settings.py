"""The two settings that are global."""

from __future__ import annotations

from dataclasses import dataclass

from tamannot._threads import available_threads
from tamannot.errors import ParameterError


@dataclass
class Settings:
    """How tamannot runs; nothing here changes a result.

    Parameters
    ----------
    threads
        Threads to use; None takes what the environment, the affinity and the container allow.
    progress
        Whether a run of more than five seconds tells on stderr how far it is: a line that is renewed in a
        terminal, elsewhere one every half minute. None is True; False is silent.
    """

    threads: int | None = None
    progress: bool | None = None

    def n_threads(self) -> int:
        """Return the number of threads to use.

        Raises
        ------
        ParameterError
            ``threads`` is set to less than one.
        """
        if self.threads is None:
            return available_threads()
        if self.threads < 1:
            msg = f"settings.threads must be at least 1, not {self.threads}."
            raise ParameterError(msg)
        return self.threads


settings = Settings()
