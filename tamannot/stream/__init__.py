"""From file to file: reading, annotating, and output that appears whole or not at all."""

from tamannot.stream._check import FileCheck, check_file
from tamannot.stream._file import annotate_file
from tamannot.stream._summary import FileSummary, summarise

__all__ = ["FileCheck", "FileSummary", "annotate_file", "check_file", "summarise"]
