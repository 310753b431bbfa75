"""``tam.tl``: tools that write their results into an AnnData."""

import lazy_loader

# Names are listed in __init__.pyi; each is imported when it is first used: scores need no classifier.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
