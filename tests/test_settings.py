"""Settings: read once, every problem at once, documented where they are declared."""

import inspect
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from admin_app import settings
from admin_app.errors import SettingsError
from admin_app.settings import Settings, time_zone

VARIABLES = re.findall(r'reader\.get\("([A-Z_]+)"', inspect.getsource(Settings.from_env))


def test_nothing_set_means_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env(dict.fromkeys(VARIABLES, "  ")) == Settings()


def test_every_setting_has_a_variable_and_a_sentence() -> None:
    source = inspect.getsource(settings)
    assert len(VARIABLES) == len(fields(Settings))
    for field, variable in zip(fields(Settings), VARIABLES, strict=True):
        assert re.search(rf'    {field.name}: .*\n    """{variable}: \S', source), field.name


def test_everything_can_be_set(tmp_path: Path) -> None:
    read = Settings.from_env(
        {
            "DATABASE_URL": "postgresql://app:p%40ss@db.example:5433/desk?ssl=require",
            "DATABASE_OWNER_URL": "postgres://owner@db.example/desk",
            "BACKDESK_PG_BINDIR": str(tmp_path),
            "BACKDESK_DATA_DIR": "~/desk",
            "BACKDESK_SECRET_KEY": "s" * 32,
            "BACKDESK_PLUGINS": "assign, trash,,stats ",
            "BACKDESK_PLUGIN_DIR": str(tmp_path),
            "BACKDESK_TIME_ZONE": "Europe/Berlin",
            "BACKDESK_HOST": "0.0.0.0",  # noqa: S104  read, not listened on
            "BACKDESK_PORT": "65535",
            "BACKDESK_ALLOWED_HOSTS": "desk.example, www.desk.example",
            "BACKDESK_SECURE_COOKIES": "yes",
            "BACKDESK_POOL_SIZE": "1",
            "BACKDESK_STATEMENT_TIMEOUT_MS": "100",
            "BACKDESK_LIST_TIMEOUT": "0.25",
            "BACKDESK_BULK_LIMIT": "5",
            "BACKDESK_UPLOAD_LIMIT_MB": "1",
        }
    )
    assert read.database_url is not None
    assert read.database_url.render_as_string(hide_password=False) == (
        "postgresql+asyncpg://app:p%40ss@db.example:5433/desk?ssl=require"
    )
    assert read.database_owner_url is not None
    assert read.database_owner_url.drivername == "postgresql+asyncpg"
    assert read.data_dir == Path.home() / "desk"
    assert read.plugins == ("assign", "trash", "stats")
    assert read.allowed_hosts == ("desk.example", "www.desk.example")
    assert (read.time_zone, read.secure_cookies, read.port) == (ZoneInfo("Europe/Berlin"), True, 65535)
    assert (read.pool_size, read.statement_timeout_ms, read.list_timeout) == (1, 100, 0.25)
    assert (read.bulk_limit, read.upload_limit_mb) == (5, 1)


WRONG = {
    "DATABASE_URL": ("mysql://root:topsecret@x/y", "mysql:// is not supported; write postgresql://…"),
    "DATABASE_OWNER_URL": ("topsecret", "not a URL; write postgresql://user:password@host:5432/database"),
    "BACKDESK_PG_BINDIR": ("/nowhere/at/all", "/nowhere/at/all is not a folder"),
    "BACKDESK_PLUGIN_DIR": ("/nowhere", "/nowhere is not a folder"),
    "BACKDESK_SECRET_KEY": ("topsecret", "has 9 characters; at least 32 are needed"),
    "BACKDESK_TIME_ZONE": ("Berlin", "'Berlin' is no time zone; use an IANA name such as Europe/Berlin"),
    "BACKDESK_PORT": ("65536", "'65536' is not a whole number from 1 to 65,535"),
    "BACKDESK_SECURE_COOKIES": ("perhaps", "'perhaps' is neither 1 nor 0"),
    "BACKDESK_POOL_SIZE": ("-1", "'-1' is not a whole number from 1 to 200"),
    "BACKDESK_STATEMENT_TIMEOUT_MS": ("1s", "'1s' is not a whole number from 100 to 3,600,000"),
    "BACKDESK_LIST_TIMEOUT": ("0", "'0' is not a number of seconds from 0.1 to 600"),
    "BACKDESK_BULK_LIMIT": ("0", "'0' is not a whole number from 1 to 10,000,000"),
    "BACKDESK_UPLOAD_LIMIT_MB": ("9" * 5000, "is not a whole number from 1 to 10,000"),
}


def test_every_variable_that_cannot_be_used_is_named_at_once_without_secrets() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value for name, (value, _) in WRONG.items()})
    lines = refused.value.message.splitlines()
    assert [line.partition(":")[0] for line in lines] == [name for name in VARIABLES if name in WRONG]
    for line in lines:
        assert line.endswith(WRONG[line.partition(":")[0]][1])
        assert len(line) < 200
    assert "topsecret" not in refused.value.message


def test_secrets_are_not_shown_and_nothing_can_be_changed() -> None:
    read = Settings.from_env({"BACKDESK_SECRET_KEY": "x" * 40, "DATABASE_URL": "postgresql://a:topsecret@b/c"})
    assert "x" * 40 not in repr(read)
    assert "topsecret" not in repr(read)
    with pytest.raises(FrozenInstanceError):
        read.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "berlin", "Europe/Berlin ", "../etc/passwd", "CET+1"])
def test_only_names_of_time_zones_are_time_zones(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        time_zone(name)
