"""What every table shares: names of constraints, column types, facts about columns, and traits."""

import enum
import re
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    MetaData,
    Text,
    cast,
    literal,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship
from sqlalchemy.sql import ColumnElement, func
from sqlalchemy.types import TypeDecorator

SECRET: dict[Any, Any] = {"audit": "secret"}
"""A column that no list, record page, export, log or audit row ever shows."""

DERIVED: dict[Any, Any] = {"audit": "derived"}
"""A column that the database or the mapper computes; not audited, not editable, and no reason for a conflict."""

LONG: dict[Any, Any] = {"audit": "long"}
"""A text of any length: creation is audited with its length and hash, later changes in full."""


_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def storable(text: str) -> bool:
    """Whether PostgreSQL can store a text: it knows neither NUL nor half a character."""
    return not _UNSTORABLE.search(text)


YEARS = range(1900, 2200)
"""In which a point in time may lie: so far from both ends of the calendar that it can be written in every zone."""


class Instant(TypeDecorator[datetime]):
    """A point in time: `timestamptz` in the database, an aware datetime in UTC in Python; naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """What is added to a point in time is a duration."""
        return Interval() if isinstance(value, timedelta) else self

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give an aware datetime")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None


def text_enum(kind: type[enum.StrEnum], name: str) -> Enum:
    """A column type that stores the values of a StrEnum as text under a CHECK constraint."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """The parent of every table of the core and of plugins."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        int: BigInteger,
        datetime: Instant,
        str: Text,
        dict[str, Any]: JSONB,
    }

    lookup: ClassVar[tuple[str, ...]] = ()
    """Text columns by which a person names a row of this table, in pickers and on the command line."""

    @hybrid_property
    def label(self) -> str:
        """How this row is called in a link, a picker or a sentence; in SQL too, so that a list reads no whole rows."""
        return f"{type(self).__name__} {self.__dict__.get('id', '')}".strip()

    @label.inplace.expression
    @classmethod
    def _label(cls) -> ColumnElement[str]:
        return numbered(cls, cls.__name__)

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"<{type(self).__name__} id={self.__dict__.get('id')}>"


def numbered(model: type[Any], name: str) -> ColumnElement[str]:
    """What rows are called that have only a number, in SQL: `Comment 5`."""
    return literal(f"{name} ") + cast(model.id, Text)


class Numbered:
    """Trait: an `id` from an identity column."""

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)


class Audited:
    """Trait: the database records every change of this table in the audit log."""


class Versioned:
    """Trait: `version` counts changes, so that a save on an outdated copy is noticed."""

    version: Mapped[int] = mapped_column(Integer, server_default=text("1"), info=DERIVED)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version, "eager_defaults": True}


class Timestamped:
    """Trait: when a row was made and last changed."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), info={"editable": False})
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now(), info=DERIVED)


class SoftDelete:
    """Trait: rows go to the trash first, with who put them there and why, and can be restored."""

    deleted_at: Mapped[datetime | None] = mapped_column(info={"editable": False})
    deleted_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="RESTRICT"), info={"editable": False}
    )
    delete_reason: Mapped[str | None] = mapped_column(info={"editable": False})

    @declared_attr
    @classmethod
    def deleted_by(cls) -> Mapped[Any]:
        return relationship("User", foreign_keys=[cls.deleted_by_id], lazy="raise")


class Assignable:
    """Trait: rows are given to one member of staff, or to nobody."""

    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
