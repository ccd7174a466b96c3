"""What is not read of a record where many are: secrets, and more than the beginnings of what may be long."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, case, func, inspect, literal_column, null, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapper, defer

SHORT = 200
"""Characters of a long text that a list shows."""
SHORT_ITEM = 80
"""Characters of a value inside a JSON object that a list shows."""


def long_columns(model: type[Any]) -> set[str]:
    """Columns whose values can be of any size."""
    columns = cast(Mapper[Any], inspect(model)).column_attrs
    return {item.key for item in columns if item.columns[0].info.get("audit") == "long" or _is_json(item.columns[0])}


def _is_json(column: Any) -> bool:
    return isinstance(column.type, JSONB)


def secret_columns(model: type[Any]) -> set[str]:
    """Columns that nobody is shown."""
    columns = cast(Mapper[Any], inspect(model)).column_attrs
    return {item.key for item in columns if item.columns[0].info.get("audit") == "secret"}


def lean(model: type[Any], whole: Sequence[str] = ()) -> list[Any]:
    """Options by which a record is read without its secrets and without what may be long, unless it is wanted whole."""
    names = sorted((long_columns(model) - {*whole}) | secret_columns(model))
    return [defer(getattr(model, name), raiseload=True) for name in names]


def beginning(column: Any) -> ColumnElement[Any]:
    """The first characters of a long text; of a JSON object, each value on two levels as the beginning of its text."""
    if not _is_json(column):
        return func.left(column, SHORT)
    return case((func.jsonb_typeof(column) == "object", _short_object(column, _short_item)), else_=null())


def _short_object(value: Any, shorten: Callable[[Any], Any]) -> Any:
    items = func.jsonb_each(value).table_valued("key", "value")
    shortened = func.jsonb_object_agg(items.c.key, shorten(items.c.value), type_=JSONB)
    return select(shortened).select_from(items).scalar_subquery()


def _short_item(value: Any) -> Any:
    inner = _short_object(value, _short_text)
    return case((func.jsonb_typeof(value) == "object", inner), else_=_short_text(value))


def _short_text(value: Any) -> Any:
    """A number, yes or no as it is; anything else as the beginning of its text."""
    beginning = func.to_jsonb(func.left(value.op("#>>")(literal_column("'{}'")), SHORT_ITEM))
    return case((func.jsonb_typeof(value).in_(["number", "boolean"]), value), else_=beginning)
