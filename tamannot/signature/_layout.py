"""Where the files of a library are: ``<id>/<version>.toml``, below a folder of the species or not."""

from __future__ import annotations

from pathlib import Path

SPECIES = ("human", "mouse")


def roots(folder: Path) -> list[Path]:
    """Return the folders that hold ``<id>/<version>.toml``: those of the species, or the folder itself."""
    by_species = [folder / s for s in SPECIES if (folder / s).is_dir()]
    return by_species or [folder]


def files_of(root: Path) -> list[Path]:
    """Return the signature files of one species."""
    return sorted(root.glob("*/*.toml"))


def is_outside(path: Path, folder: Path) -> bool:
    """Say whether a path is a link to something that is not in the folder."""
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return True
