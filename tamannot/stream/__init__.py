"""From file to file: reading, annotating, and output that appears whole or not at all."""

from tamannot.stream._check import FileCheck, check_file
from tamannot.stream._file import annotate_file
from tamannot.stream._report import report_file, write_report
from tamannot.stream._score import ScoreSummary, score_file
from tamannot.stream._summary import FileSummary, summarise
from tamannot.stream._train import AnchorSummary, TrainSummary, train_file

__all__ = [
    "AnchorSummary",
    "FileCheck",
    "FileSummary",
    "ScoreSummary",
    "TrainSummary",
    "annotate_file",
    "check_file",
    "report_file",
    "score_file",
    "summarise",
    "train_file",
    "write_report",
]
