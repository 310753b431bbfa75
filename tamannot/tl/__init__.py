"""``tam.tl``: tools that write their results into an AnnData."""

from tamannot._resources import attach_stub

# Names are listed in __init__.pyi; each is imported when it is first used: scores need no classifier.
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
