"""Run every benchmark, one after another."""

from benchmarks import desk, engine, import_archive, lists

desk.main()
import_archive.main()
engine.main()
lists.main()
