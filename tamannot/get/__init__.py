"""``tam.get``: functions that return results as tables and never change the object."""

from tamannot._resources import attach_stub

# Names are listed in __init__.pyi; each is imported when it is first used.
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
