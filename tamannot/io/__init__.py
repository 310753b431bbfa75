"""From file to file: reading, annotating, and output that is written completely or not at all."""

from tamannot._resources import attach_stub

# Names are listed in __init__.pyi; each is imported when it is first used, as commands need few of them.
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
