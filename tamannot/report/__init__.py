"""The report: one HTML file from an annotated object."""
