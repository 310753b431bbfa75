"""tamannot: what the macrophages of a tumour are, cell by cell, with the evidence."""

from tamannot._resources import attach_stub

# Names are listed in __init__.pyi; nothing is imported before it is used.
_lazy, __dir__, __all__ = attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name == "__version__":
        from tamannot._resources import package_version  # noqa: PLC0415 - it takes longer than all else here

        return package_version()
    return _lazy(name)
