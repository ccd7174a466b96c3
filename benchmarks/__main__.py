"""Run every benchmark, one after another."""

from benchmarks import desk, import_archive

desk.main()
import_archive.main()
