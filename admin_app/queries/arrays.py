"""Many rows as one value of another row, so that a page needs no statement of their own for them."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func
from sqlalchemy.types import NullType


def as_array(rows: Select[Any]) -> ColumnElement[Any]:
    """All that a statement of one column finds, in its order; the driver takes arrays and rows apart."""
    return func.array(rows.scalar_subquery(), type_=NullType())
