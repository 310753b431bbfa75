"""Kernels: plain arrays in, plain arrays out; they know no AnnData and no signature."""
