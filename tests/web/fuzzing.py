"""Addresses of lists as nobody would write them: half of each is nearly right, so that it gets far before it fails."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote_from_bytes

from admin_app.plugin import Resource
from admin_app.queries.filters import choices_of, kind_of

STRANGE = (
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u202eback\u202c",
    "e\u0301\u0327" * 5,
    "😀🏳️‍🌈",
    "ﷺ" * 30,
    "\r\n\t\v\x1b[31m",
    "%",
    "_%_",
    "\\",
    "'; DROP TABLE tickets; --",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}",
    "../../etc/passwd",
    '"',
    '""',
    '"open',
    "'",
    ",",
    ",,,,",
    "..",
    "....",
    "1..",
    "..1",
    "-",
    "--",
    "!",
    "=",
    "&",
    "+",
    "#",
    ":",
    "(",
    ")",
    "()",
    ")(",
    "none",
    "me",
    "NONE",
    "yes",
    "no",
    "true",
    "null",
    "undefined",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e309",
    "0x10",
    "1_000",
    "٣",
    "²",
    "½",
    "-0",
    "0",
    "-1",
    str(2**31),
    str(2**63 - 1),
    str(2**63),
    "9" * 4500,
    "0000-00-00",
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30",
    "2026-W53-7",
    "20260101",
    "2026-01-01T24:00",
    "2024-03-31T02:30",
    "last-9999-days",
    "next-9999-hours",
    "last-0-days",
    "last-99999-days",
    "today..yesterday",
    "2026-02-01..2026-01-01",
    ">",
    "<=",
    ">=>=5",
    ">none",
    ">2026-01-01..",
    "is:",
    "is:overdue",
    "is:nothing",
    "OR",
    "OR OR",
    "AND NOT",
    "-",
    "-(",
    "tag:",
    "status:",
    ":open",
    "status:open:closed",
)
"""Values that have broken something somewhere."""

TIMES = (
    "today",
    "yesterday",
    "this-week",
    "last-month",
    "last-7-days",
    "next-3-hours",
    "2023-05-01",
    "2023-01-01..2024-01-01",
    "2025-01-01..",
    "..2024-06-01T12:00",
    ">2024-01-01",
    "<=2025-03-01",
    "none",
)
WORDS = (
    "invoice",
    "zyzzyva",
    "log",
    "SUP-000001",
    "build",
    "the",
    "a",
    "crash*",
    '"wrong address"',
    "-app",
    "100%",
    "x_y",
)
COMMON = ("q", "q", "q", "sort", "sort", "after", "before", "at", "size", "columns", "density", "view")
SINGLE = ("q", "sort", "size", "page", "trash", "overdue", "after", "before", "at", "columns", "density", "view")
OTHERS = ("change_set", "outcome", "exact", "", " ", "tag", "created", "resolved", "updated", "id", "title", "version")

PLACE = re.compile(r"[?&;](?:after|before)=([A-Za-z0-9_.~=-]{6,})")


@dataclass
class Fuzz:
    """Makes addresses; `places` are signed places in lists that answers have shown, used where they do not belong.

    A `tidy` address has parameters that exist, with values that are nearly always right.
    """

    chance: Random
    tidy: bool = False
    places: list[str] = field(default_factory=lambda: ["end"])

    def learn(self, page: str) -> None:
        """Remember a place that a page links to."""
        if (found := PLACE.search(page)) and len(self.places) < 200:
            self.places.append(found[1])

    def query(self, resource: Resource) -> bytes:
        """The query of an address: some parameters, of which most exist, in some order, some of them more than once."""
        self.tidy = self.chance.random() < 0.6
        pairs = [self._pair(resource) for _ in range(self.chance.choice((1, 1, 1, 2, 2, 3, 4, 6)))]
        if self.tidy:
            pairs = list(dict(pairs).items())
        elif self.chance.random() < 0.2:
            pairs += pairs[: self.chance.randint(1, len(pairs))]
        if self.chance.random() < 0.005:
            pairs *= 300
        return b"&".join(self._written(name) + b"=" + self._written(value) for name, value in pairs)[:200_000]

    def _pair(self, resource: Resource) -> tuple[str, str]:
        name = self._name(resource)
        if self.chance.random() < (0.02 if self.tidy else 0.4):
            return name, self._strange()
        value = self._value(resource, name.rstrip("!"))
        return name, value if self.tidy or self.chance.random() < 0.7 else self._broken(value)

    def _name(self, resource: Resource) -> str:
        kind = self.chance.random()
        if kind < 0.5 and resource.filters:
            return self.chance.choice(resource.filters) + "!" * (self.chance.random() < 0.2)
        if self.tidy:
            return self.chance.choice(COMMON)
        if kind < 0.92:
            return self.chance.choice(SINGLE)
        return self.chance.choice(OTHERS) if kind < 0.97 else self._strange()[:50]

    def _value(self, resource: Resource, name: str) -> str:
        """A value such as the parameter takes, or nearly."""
        pick = self.chance.choice
        columns = (*resource.columns, *resource.sort, *resource.filters)
        match name:
            case "q":
                return self._search(resource, 0)
            case "sort":
                known = resource.sort if self.tidy else columns
                names = dict.fromkeys(pick(known) for _ in range(pick((1, 1, 2, 3) if self.tidy else (1, 3, 9))))
                return ",".join(pick(("", "-")) + name for name in names)
            case "size" | "page":
                return pick(("25", "50", "250")) if self.tidy else pick(("1", "7", "200"))
            case "trash" | "overdue" | "exact":
                return pick(("yes", "no", "maybe"))
            case "after" | "before":
                return pick(self.places)
            case "at":
                return pick((*TIMES, "open", "urgent", "4", "zzz", "Ada"))
            case "columns":
                known = resource.columns if self.tidy else columns
                return ",".join(dict.fromkeys(pick(known) for _ in range(pick((1, 3, 40)))))
            case "density":
                return pick(("compact", "comfortable", *["tight"] * (not self.tidy)))
            case "view" | "change_set":
                return pick(("1", "2", "99999", "0", "mine"))
        single = self.tidy and kind_of(resource.model, name) in {"time", "number", "switch"}
        return ",".join(self._filter(resource, name) for _ in range(1 if single else pick((1, 1, 1, 2, 5))))

    def _filter(self, resource: Resource, name: str) -> str:
        pick = self.chance.choice
        match kind_of(resource.model, name):
            case "choice":
                return pick((*choices_of(resource.model, name), *["none"] * (not self.tidy)))
            case "switch":
                return pick(("yes", "no"))
            case "time":
                return pick(TIMES)
            case "number":
                return pick(("5", "1..9", ">3", "<=0", "1.5", "none"))
            case "record" | "records":
                return pick(("1", "2", "3,4", "none", "me", "billing", '"2026"', "user1@example.com", '"Ada Hopper 3"'))
        return pick(("import", "CREATE", "tickets", "none", "image/png", '"a,b"'))

    def _search(self, resource: Resource, depth: int) -> str:
        """A search as its language has it: words, phrases, fields, alternatives and brackets in each other."""
        kind, pick = self.chance.random(), self.chance.choice
        if depth > 4 or kind < 0.35:
            return pick(WORDS)
        if kind < 0.6:
            name = pick((*resource.filters, *["is", "tag", "created", "has", "nothing"] * (not self.tidy)))
            value = self._filter(resource, name) if name in resource.filters else pick(("overdue", "unassigned", "x"))
            return f"{pick(('', '', '-'))}{name}:{'' if self.tidy else pick(('', '', '>', '<='))}{value}"
        if kind < 0.66:
            return pick(WORDS) if self.tidy else self._strange()
        if kind < 0.68 and not self.tidy:
            deep = pick((10, 200, 3000))
            return f"{'(' * deep}open{')' * pick((deep, deep - 1))}"
        inner = [self._search(resource, depth + 1) for _ in range(pick((2, 2, 3)))]
        joined = pick((" ", " OR ", " AND ", " or ", "  ")).join(inner)
        return f"({joined})" if kind < 0.85 else joined

    def _strange(self) -> str:
        kind, pick = self.chance.random(), self.chance.choice
        if kind < 0.7:
            return pick(STRANGE)
        if kind < 0.9:
            return "".join(chr(self._point()) for _ in range(pick((1, 5, 40))))
        if kind < 0.98:
            return pick(STRANGE) + pick(STRANGE)
        return pick(("a", "1", ",1", "(", '"', "-", " ", "é", "a:b ", " OR a")) * pick((500, 5_000, 20_000))

    def _point(self) -> int:
        return self.chance.choice(
            (self.chance.randrange(128), self.chance.randrange(0x3000), self.chance.randrange(0x110000))
        )

    def _broken(self, value: str) -> str:
        """A value with one mistake."""
        place = self.chance.randrange(len(value) + 1)
        mistakes: Sequence[str] = (
            value[:place] + self.chance.choice(STRANGE)[:40] + value[place:],
            value[:place],
            value[place:],
            value[:place] + value[place + 1 :],
            value.upper(),
            value * 3,
            f" {value} ",
        )
        return self.chance.choice(mistakes)

    def _written(self, text: str) -> bytes:
        """A text as it stands in an address; now and then with bytes that are no text, or without its escapes."""
        written = text.encode("utf-8", "surrogatepass")
        kind = self.chance.random()
        if kind < 0.01:
            written = written[:40] + bytes(self.chance.randrange(128, 256) for _ in range(3))
        if kind > 0.98:
            return bytes(byte for byte in written if byte not in b"&#").replace(b"%", b"%zz")
        return quote_from_bytes(written, safe=self.chance.choice(("", "/:,.()"))).encode()
