"""``tam.pl``: figures of results. Nothing here writes into the data, and to disk only with ``save=``."""

from tamannot._resources import attach_stub

# Names are listed in __init__.pyi; each is imported when it is first used.
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
