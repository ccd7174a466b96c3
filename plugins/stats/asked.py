"""What somebody asks of the statistics page: days, a time zone, and whether imports count; from the address."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from admin_app.errors import BadInput, BadRequest
from admin_app.plugin import Visit
from admin_app.queries.figures import Period

DAY = timedelta(days=1)
LENGTHS = {"7d": 7, "30d": 30, "90d": 90}
PRESETS = {
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "this_month": "This month",
    "last_month": "Last month",
}
"""The periods that are one click away, and what they are called."""

USUAL = "30d"


@dataclass(frozen=True)
class Asked:
    """What the page is to show; `preset` is None when the days were chosen one by one."""

    period: Period
    preset: str | None
    imports: bool

    @classmethod
    def parse(cls, visit: Visit) -> Self:
        """From the parameters `period`, or `from` and `to` with both days included, `zone` and `imports`.

        Raises BadRequest naming the parameter that cannot be understood.
        """
        zone = _zone(visit)
        first, last = visit.one("from"), visit.one("to")
        preset = None if first or last else visit.one("period") or USUAL
        if preset:
            start, end = _preset_days(preset, datetime.now(zone).date())
        else:
            start, end = _day("from", first), _day("to", last) + DAY
        try:
            return cls(Period(start, end, zone), preset, _switch("imports", visit.one("imports")))
        except BadInput as error:
            raise BadRequest(fields=error.fields) from error

    @property
    def last(self) -> date:
        """The last day of the period, included."""
        return self.period.end - DAY

    def address(self, *, preset: str | None = None, imports: bool | None = None) -> str:
        """The query of this page, with another preset or other imports."""
        named = preset or self.preset
        days = {"period": named} if named else {"from": str(self.period.start), "to": str(self.last)}
        with_imports = self.imports if imports is None else imports
        return "?" + urlencode({**days, "zone": self.period.zone.key, **({"imports": "yes"} if with_imports else {})})


@cache
def zones() -> tuple[str, ...]:
    """The time zones that a person chooses from: places, and UTC."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return ("UTC", *sorted(places))


def _zone(visit: Visit) -> ZoneInfo:
    name = visit.one("zone")
    if not name or name == visit.time_zone.key:
        return visit.time_zone
    if name not in zones():
        raise BadRequest(fields={"zone": f"“{name[:60]}” is no time zone known here, such as Europe/Berlin."})
    return ZoneInfo(name)


def _preset_days(preset: str, today: date) -> tuple[date, date]:
    """The first day, and the day after the last; the present day counts."""
    if preset in LENGTHS:
        return today - LENGTHS[preset] * DAY + DAY, today + DAY
    first = today.replace(day=1)
    if preset == "this_month":
        return first, today + DAY
    if preset == "last_month":
        return (first - DAY).replace(day=1), first
    raise BadRequest(fields={"period": f"“{preset[:60]}” is none of {', '.join(PRESETS)}."})


def _day(name: str, text: str | None) -> date:
    if not text:
        raise BadRequest(fields={name: "Please give both days, the first and the last."})
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest(fields={name: f"“{text[:60]}” is not a date; write it like 2026-11-21."}) from None
    if day == date.max:
        raise BadRequest(fields={name: "Please choose days between 1970 and 2199."})
    return day


def _switch(name: str, text: str | None) -> bool:
    if text not in {None, "", "yes", "no"}:
        raise BadRequest(fields={name: f"“{str(text)[:60]}” is neither yes nor no."})
    return text == "yes"
