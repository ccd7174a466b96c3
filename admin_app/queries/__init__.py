"""Shared async queries, one module a noun. A query takes the session first, then values; it never commits."""
