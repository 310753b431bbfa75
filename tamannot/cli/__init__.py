"""The command line: arguments to one API call to an exit code."""

from tamannot.cli._entry import main

__all__ = ["main"]
