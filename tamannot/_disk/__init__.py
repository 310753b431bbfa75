"""Matrices in files, read by blocks of rows from several threads at once; what is in memory is bounded."""

from tamannot._disk._dense import DenseRowsOnDisk
from tamannot._disk._open import csc_rows, csr_rows
from tamannot._disk._sample import Sample, sample_dense, sample_vector

__all__ = ["DenseRowsOnDisk", "Sample", "csc_rows", "csr_rows", "sample_dense", "sample_vector"]
