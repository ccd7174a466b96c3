"""Exports: the whole of a list as a file, in any of the formats, while somebody waits or as a job."""
