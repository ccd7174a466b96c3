"""What `backdesk check` warns of: lists that will be slow once their table is large, told from the models alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from admin_app import resources
from admin_app.registry import Registry, warnings_of

SOURCE = """\
from datetime import datetime
from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from admin_app.models import Base, Numbered, SoftDelete
from admin_app.plugin import Plugin
plugin = Plugin(__name__)

class {model}Line(Numbered, Base):
    __tablename__ = "{name}_lines"
    parcel_id: Mapped[int] = mapped_column(ForeignKey("{name}_parcels.id"))

    @property
    def label(self) -> str:
        return "A line"

class {model}(Numbered, SoftDelete, Base):
    __tablename__ = "{name}_parcels"
    __table_args__ = ({indexes})
    carrier: Mapped[str]
    sent_at: Mapped[datetime]
    weight: Mapped[int | None]
    lines: Mapped[list[{model}Line]] = relationship(lazy="raise")

plugin.resource(
    {model},
    columns=("carrier", "sent_at"{columns}),
    search=("carrier",),
    filters=("carrier", "weight"),
    sort=("sent_at",),
    default_sort="-sent_at",
{options})
"""

INDEXES = """
        Index("ix_{name}_sent", "sent_at", "id", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_{name}_carrier", "carrier", "sent_at"),
        Index("ix_{name}_weight", "weight", postgresql_where=text("deleted_at IS NULL AND weight IS NOT NULL")),
        Index("ix_{name}_words", "carrier", postgresql_using="gin", postgresql_ops={{"carrier": "gin_trgm_ops"}}),
"""


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `backdesk check` with the plugins in a folder, in a process of its own: models cannot be forgotten again."""
    command = [str(Path(sys.executable).with_name("backdesk")), "check", "--no-database", *options]
    environment = {**os.environ, "BACKDESK_PLUGIN_DIR": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def warned(folder: Path, name: str, indexes: str = "", columns: str = "", options: str = "") -> list[str]:
    """What is said of one plugin, whose lists are of parcels."""
    package = folder / name
    (package / "migrations").mkdir(parents=True)
    facts = {"name": name, "model": f"{name.title()}Parcel", "columns": columns, "options": options}
    (package / "__init__.py").write_text(SOURCE.format(indexes=indexes.format(name=name), **facts))
    done = check(folder)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_our_own_lists_have_the_indexes_that_they_need_or_say_why_not(registry: Registry) -> None:
    assert warnings_of(registry) == []
    reasons = [why for resource in resources.plugin.resources for why in resource.unindexed.values()]
    assert all(len(why) > 20 for why in reasons)


def test_a_list_without_indexes_is_warned_of_with_the_statements_that_make_them(tmp_path: Path) -> None:
    found = warned(tmp_path, "bare")
    assert [line[:4] for line in found] == ["W001", "W002", "W002", "W003"]
    sort, carrier, weight, words = found
    live = "WHERE deleted_at IS NULL;"
    assert f"CREATE INDEX ix_bare_parcels_live_sent_at ON bare_parcels (sent_at, id) {live}" in sort
    assert f"CREATE INDEX ix_bare_parcels_live_carrier ON bare_parcels (carrier, sent_at, id) {live}" in carrier
    assert f"CREATE INDEX ix_bare_parcels_live_weight ON bare_parcels (weight, id) {live}" in weight
    assert "ON bare_parcels USING gin (carrier gin_trgm_ops);" in words
    assert "unindexed={'carrier': '…'}" in words


def test_indexes_of_live_rows_serve_lists_of_live_rows(tmp_path: Path) -> None:
    assert warned(tmp_path, "well", INDEXES) == []


@pytest.mark.parametrize(
    ("name", "index", "rule"),
    [
        ("turned", 'Index("ix_turned", text("sent_at DESC"), "id"),', "W001"),
        ("elsewhere", 'Index("ix_elsewhere", "sent_at", "id", postgresql_where=text("weight > 5")),', "W001"),
        ("behind", 'Index("ix_behind", "weight", "sent_at", "id"),', "W001"),
        ("coarse", 'Index("ix_coarse", "sent_at", postgresql_using="brin"),', "W001"),
        ("second", 'Index("ix_second", "sent_at", "carrier"),', "W002"),
    ],
)
def test_an_index_in_another_order_or_of_other_rows_does_not_count(
    tmp_path: Path, name: str, index: str, rule: str
) -> None:
    found = {line[:4] for line in warned(tmp_path, name, index)}
    assert rule in found if name != "turned" else rule not in found


def test_a_column_that_would_be_asked_for_row_by_row_is_warned_of(tmp_path: Path) -> None:
    found = warned(tmp_path, "many", INDEXES, columns=', "lines"')
    assert [line[:4] for line in found] == ["W004", "W004"]
    assert "CREATE INDEX ix_many_lines_parcel_id ON many_lines (parcel_id, id);" in found[0]
    assert "ManyParcelLine.label a hybrid_property" in found[1]


def test_what_is_accepted_with_a_reason_is_not_warned_of(tmp_path: Path) -> None:
    some = 'unindexed={"carrier": "There are three.", "weight": "Nobody asks."},'
    assert [line[:4] for line in warned(tmp_path / "a", "some", options=some)] == ["W001"]
    small = 'unindexed={"*": "A hundred parcels."},'
    assert warned(tmp_path / "b", "small", options=small) == []


def test_what_is_accepted_must_be_something_that_lists_read(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"P039 .* no list reads anything by 'carier'. Did you mean 'carrier'\?"):
        warned(tmp_path, "typo", options='unindexed={"carier": "There are three."},')


def test_check_fails_on_warnings_only_where_it_is_to_be_strict(tmp_path: Path) -> None:
    sort = warned(tmp_path, "slow")[0]
    assert sort.startswith(
        f"W001 {tmp_path}/slow/__init__.py:24 [slow] SlowParcel: no index has the order of 'sent_at'"
    )
    assert "no problem found, 4 warnings." in check(tmp_path).stdout
    assert check(tmp_path, "--strict").returncode == 1
