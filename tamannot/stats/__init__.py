"""Statistics on arrays of samples: the sample is the unit, never the cell."""
