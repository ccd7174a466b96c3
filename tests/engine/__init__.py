"""The change engine, proved: by properties, by faults with real processes, by its largest and oddest cases."""

import pytest

pytest.register_assert_rewrite("tests.engine.desk", "tests.engine.machine")
