"""Analyses of annotated objects, one file each; the sample is the unit of every comparison."""
