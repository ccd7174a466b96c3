"""Settings: one frozen value, read once from the environment; every setting is documented where it is declared."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from admin_app.errors import SettingsError

Value = TypeVar("Value")

_UTC = ZoneInfo("UTC")

APP_ROLE = "backdesk_app"
"""The database role the application runs as: it may change desk data, never the audit log."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a deployment decides. Read it with `Settings.from_env()`."""

    database_url: URL | None = None
    """DATABASE_URL: PostgreSQL to use, `postgresql://` or `postgresql+asyncpg://`. Unset: a local server is started."""

    database_owner_url: URL | None = None
    """DATABASE_OWNER_URL: who owns the tables and runs migrations. Unset: DATABASE_URL."""

    pg_bindir: Path | None = None
    """BACKDESK_PG_BINDIR: folder with `initdb` and `postgres`, of the local server. Unset: the wheel, then installed"""

    data_dir: Path = Path(".backdesk")
    """BACKDESK_DATA_DIR: the local server's data, attachments, secrets. Unset: `.backdesk` where it is started."""

    secret_key: str | None = field(default=None, repr=False)
    """BACKDESK_SECRET_KEY: signs form tokens, at least 32 characters. Unset: one is kept in the data folder."""

    plugins: tuple[str, ...] | None = None
    """BACKDESK_PLUGINS: comma-separated names to load. Unset: everything in the project's `plugins` folder."""

    plugin_dir: Path | None = None
    """BACKDESK_PLUGIN_DIR: a further folder whose `*.py` files and packages are plugins. Unset: none."""

    time_zone: ZoneInfo = _UTC
    """BACKDESK_TIME_ZONE: the desk's time zone, for those who chose none of their own."""

    host: str = "127.0.0.1"
    """BACKDESK_HOST: the address `serve` listens on."""

    port: int = 8000
    """BACKDESK_PORT: the port `serve` listens on."""

    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """BACKDESK_ALLOWED_HOSTS: comma-separated names under which the site may be reached; others get 400."""

    secure_cookies: bool = False
    """BACKDESK_SECURE_COOKIES: `1` where the site is served over HTTPS; cookies are then sent over HTTPS only."""

    pool_size: int = 10
    """BACKDESK_POOL_SIZE: database connections a process keeps open at most to write, and as many to read."""

    statement_timeout_ms: int = 15_000
    """BACKDESK_STATEMENT_TIMEOUT_MS: how long one statement of the web application may run."""

    list_timeout: float = 1.5
    """BACKDESK_LIST_TIMEOUT: seconds that a list may take in the database; then it is told how to narrow it down."""

    bulk_limit: int = 200_000
    """BACKDESK_BULK_LIMIT: rows that one bulk action may touch; above it the action is refused with the number."""

    inline_limit: int = 2_000
    """BACKDESK_INLINE_LIMIT: rows up to which an action is done at once; above it, it becomes a job."""

    chunk_size: int = 5_000
    """BACKDESK_CHUNK_SIZE: rows that a job changes in one transaction."""

    jobs: int = 2
    """BACKDESK_JOBS: jobs that are worked on at the same time, in the whole installation; one of each person."""

    lanes: int = 2
    """BACKDESK_LANES: parts of one job that are worked on at the same time, each over a connection of its own."""

    worker: bool = True
    """BACKDESK_WORKER: `0` where `serve` is not to work on jobs, because `backdesk worker` runs elsewhere."""

    selection_hours: int = 24
    """BACKDESK_SELECTION_HOURS: how long the rows that somebody selected can be used."""

    outcome_days: int = 90
    """BACKDESK_OUTCOME_DAYS: how long it is kept what became of each row of a change set; counts are kept for good."""

    export_inline: int = 100_000
    """BACKDESK_EXPORT_INLINE: rows up to which an export is sent while one waits; above it, it becomes a job."""

    export_hours: int = 24
    """BACKDESK_EXPORT_HOURS: how long the file of an export that was a job can be fetched."""

    export_minutes: int = 60
    """BACKDESK_EXPORT_MINUTES: how long one export may take."""

    upload_limit_mb: int = 25
    """BACKDESK_UPLOAD_LIMIT_MB: the largest attachment that is accepted."""

    @property
    def limits(self) -> "Limits":
        """How much one action may do, and how much of it at once."""
        return Limits(self.bulk_limit, self.inline_limit, self.chunk_size, self.lanes)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every setting; raises SettingsError naming each variable that cannot be used."""
        reader = _Reader(environ)
        values: dict[str, Any] = {
            "database_url": reader.get("DATABASE_URL", _database_url),
            "database_owner_url": reader.get("DATABASE_OWNER_URL", _database_url),
            "pg_bindir": reader.get("BACKDESK_PG_BINDIR", _folder),
            "data_dir": reader.get("BACKDESK_DATA_DIR", _path),
            "secret_key": reader.get("BACKDESK_SECRET_KEY", _secret),
            "plugins": reader.get("BACKDESK_PLUGINS", _names),
            "plugin_dir": reader.get("BACKDESK_PLUGIN_DIR", _folder),
            "time_zone": reader.get("BACKDESK_TIME_ZONE", time_zone),
            "host": reader.get("BACKDESK_HOST", str),
            "port": reader.get("BACKDESK_PORT", _number(1, 65_535)),
            "allowed_hosts": reader.get("BACKDESK_ALLOWED_HOSTS", _names),
            "secure_cookies": reader.get("BACKDESK_SECURE_COOKIES", _switch),
            "pool_size": reader.get("BACKDESK_POOL_SIZE", _number(1, 200)),
            "statement_timeout_ms": reader.get("BACKDESK_STATEMENT_TIMEOUT_MS", _number(100, 3_600_000)),
            "list_timeout": reader.get("BACKDESK_LIST_TIMEOUT", _seconds(600)),
            "bulk_limit": reader.get("BACKDESK_BULK_LIMIT", _number(1, 10_000_000)),
            "inline_limit": reader.get("BACKDESK_INLINE_LIMIT", _number(1, 100_000)),
            "chunk_size": reader.get("BACKDESK_CHUNK_SIZE", _number(1, 100_000)),
            "jobs": reader.get("BACKDESK_JOBS", _number(1, 100)),
            "lanes": reader.get("BACKDESK_LANES", _number(1, 16)),
            "worker": reader.get("BACKDESK_WORKER", _switch),
            "selection_hours": reader.get("BACKDESK_SELECTION_HOURS", _number(1, 24 * 365)),
            "outcome_days": reader.get("BACKDESK_OUTCOME_DAYS", _number(1, 36_500)),
            "export_inline": reader.get("BACKDESK_EXPORT_INLINE", _number(1, 100_000_000)),
            "export_hours": reader.get("BACKDESK_EXPORT_HOURS", _number(1, 24 * 365)),
            "export_minutes": reader.get("BACKDESK_EXPORT_MINUTES", _number(1, 24 * 60)),
            "upload_limit_mb": reader.get("BACKDESK_UPLOAD_LIMIT_MB", _number(1, 10_000)),
        }
        if reader.problems:
            raise SettingsError("\n".join(reader.problems))
        return cls(**{name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class Limits:
    """Rows that one action may touch, that it touches at once, and that a job changes in one transaction.

    And in how many lanes a job works at the same time, where an action allows it.
    """

    bulk: int
    inline: int
    chunk: int
    lanes: int = 2


class _Reader:
    """Reads variables and collects every problem, so that all are reported at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def get(self, name: str, convert: Callable[[str], Value]) -> Value | None:
        text = self.environ.get(name, "").strip()
        if not text:
            return None
        try:
            return convert(text)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return None


@cache
def zone_names() -> frozenset[str]:
    """The IANA names of all time zones known here; finding them reads hundreds of files."""
    return frozenset(available_timezones())


def time_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as `Europe/Berlin`; raises ValueError for any other text."""
    if name not in zone_names():
        raise ValueError(f"{name!r} is no time zone; use an IANA name such as Europe/Berlin")
    return ZoneInfo(name)


def _database_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError("not a URL; write postgresql://user:password@host:5432/database") from None
    if url.drivername not in {"postgresql", "postgresql+asyncpg", "postgres"}:
        raise ValueError(f"{url.drivername}:// is not supported; write postgresql://…")
    return url.set(drivername="postgresql+asyncpg")


def _folder(text: str) -> Path:
    if not (folder := _path(text)).is_dir():
        raise ValueError(f"{text} is not a folder")
    return folder


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError(f"has {len(text)} characters; at least 32 are needed")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _switch(text: str) -> bool:
    if text.lower() not in {"0", "1", "true", "false", "yes", "no"}:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in {"1", "true", "yes"}


def _seconds(high: int) -> Callable[[str], float]:
    def convert(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) or not 0.1 <= float(text) <= high:
            raise ValueError(f"{text[:20]!r} is not a number of seconds from 0.1 to {high:,}")
        return float(text)

    return convert


def _number(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isdecimal() or len(text) > 12 or not low <= int(text) <= high:
            raise ValueError(f"{text[:20]!r} is not a whole number from {low:,} to {high:,}")
        return int(text)

    return convert
