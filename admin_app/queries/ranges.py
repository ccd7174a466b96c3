"""Numbers and times of a filter: one, a range, or what lies on one side of a bound."""

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Float, Integer, SmallInteger, and_

from admin_app.queries.periods import Viewer, edges, period

SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
"""Comparisons that a number or a time can begin with, the longer ones first."""

NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,9})?")
ROOM = ((SmallInteger, 2**15), (BigInteger, 2**63), (Integer, 2**31))


def in_numbers(column: Any, text: str) -> ColumnElement[bool]:
    """The condition of `5`, `5..10` with both ends taken in, or `>=5`; raises ValueError for what is no number."""
    sign, rest = _split(text)
    if sign:
        return _compared(column, sign, number(column.type, rest))
    low, dots, high = text.partition("..")
    if not dots:
        return cast(ColumnElement[bool], column == number(column.type, low))
    bounds = [number(column.type, bound) if bound else None for bound in (low, high)]
    return _between(column, *bounds, closed=True)


def in_period(column: Any, text: str, viewer: Viewer) -> ColumnElement[bool]:
    """The condition of a day, of a period whose end is left out, or of `>2026-01-31`: after the whole day.

    Raises ValueError for what is no time.
    """
    sign, rest = _split(text)
    if not sign:
        return _between(column, *period(text, viewer), closed=False)
    first, after = edges(rest, viewer)
    if after is None:
        return _compared(column, sign, first)
    if ">" in sign:
        return _compared(column, ">=", after if sign == ">" else first)
    return _compared(column, "<", after if sign == "<=" else first)


def _split(text: str) -> tuple[str, str]:
    """The comparison that a value begins with, if it does, and the rest."""
    sign = next((sign for sign in SIGNS if text.startswith(sign)), "")
    return sign, text[len(sign) :].strip()


def _compared(column: Any, sign: str, value: Any) -> ColumnElement[bool]:
    return cast(ColumnElement[bool], SIGNS[sign](column, value))


def number(kind: Any, text: str) -> Any:
    """A number that fits a column of this type; raises ValueError."""
    if not NUMBER.fullmatch(text.strip()):
        raise ValueError(f"“{text[:60]}” is not a number.")
    value = Decimal(text.strip())
    if not isinstance(kind, Integer):
        return float(value) if isinstance(kind, Float) else value
    room = next(size for known, size in ROOM if isinstance(kind, known))
    if value != value.to_integral_value() or not -room <= value < room:
        raise ValueError(f"“{text[:60]}” is no whole number that could be there.")
    return int(value)


def _between(column: Any, low: Any, high: Any, *, closed: bool) -> ColumnElement[bool]:
    """Bounds that may be open on one side; `closed` takes the upper one in."""
    if low is None and high is None:
        raise ValueError("has neither a beginning nor an end.")
    if low is not None and high is not None and (low > high or (low == high and not closed)):
        raise ValueError("covers nothing: it ends before it begins, or where it begins.")
    bounds = [] if low is None else [column >= low]
    if high is not None:
        bounds.append(column <= high if closed else column < high)
    return and_(*bounds)
