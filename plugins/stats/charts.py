"""The geometry of a line chart, in the units of its SVG: numbers in, positions out. The template draws it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count

STEPS = 5
"""Grid lines above zero, at most."""

DOTTED = 40
"""Up to so many days each has a dot of its own."""


@dataclass(frozen=True)
class Frame:
    """The size of a drawing, where its lines are drawn, and how many days may be named below them."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    labels: int


WIDE = Frame(width=920, height=260, left=44, right=908, top=10, bottom=230, labels=6)
NARROW = Frame(width=320, height=220, left=36, right=312, top=10, bottom=190, labels=4)
"""For telephones: letters keep their size where the drawing is as wide as its units say."""


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Dot:
    """One value of a line."""

    x: float
    y: float


@dataclass(frozen=True)
class Line:
    """One series: its name, the points of its line, those of the area below it, and its dots if there are few."""

    label: str
    points: str
    area: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Slot:
    """The strip of one day, from edge to edge, with what it says when one points at it."""

    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Chart:
    """A line chart of whole numbers by day, ready to be drawn."""

    values: tuple[Tick, ...]
    days: tuple[Tick, ...]
    lines: tuple[Line, ...]
    slots: tuple[Slot, ...]
    frame: Frame


def line_chart(days: Sequence[date], series: Mapping[str, Sequence[int]], frame: Frame) -> Chart:
    """Draw one line for each series, which has a value for every day."""
    scale = _scale(max((value for values in series.values() for value in values), default=0))
    width = (frame.right - frame.left) / len(days)
    places = [frame.left + width * (number + 0.5) for number in range(len(days))]

    def height(value: int) -> float:
        return round(frame.bottom - (frame.bottom - frame.top) * value / scale.end, 1)

    def dots(values: Sequence[int]) -> list[Dot]:
        return [Dot(round(x, 1), height(value)) for x, value in zip(places, values, strict=True)]

    named = range(0, len(days), -(-len(days) // frame.labels))
    return Chart(
        values=tuple(Tick(height(value), f"{value:,}") for value in range(0, scale.end + 1, scale.step)),
        days=tuple(Tick(round(places[number], 1), day_label(days[number])) for number in named),
        lines=tuple(_line(label, dots(values), frame.bottom) for label, values in series.items()),
        slots=tuple(
            Slot(round(x - width / 2, 1), round(width, 1), _title(day, {name: series[name][number] for name in series}))
            for number, (day, x) in enumerate(zip(days, places, strict=True))
        ),
        frame=frame,
    )


def day_label(day: date) -> str:
    """`29 Mar`; the year stands in the heading."""
    return f"{day.day} {day:%b}"


@dataclass(frozen=True)
class _Scale:
    end: int
    step: int


def _scale(highest: int) -> _Scale:
    """A round step, 1, 2 or 5 times a power of ten, of which at most five reach the highest value."""
    step = next(step for step in _round_steps() if step * STEPS >= highest)
    return _Scale(max(step, -(-highest // step) * step), step)


def _round_steps() -> Iterator[int]:
    return (digit * 10**power for power in count() for digit in (1, 2, 5))


def _line(label: str, dots: Sequence[Dot], floor: int) -> Line:
    points = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    area = f"{dots[0].x},{floor} {points} {dots[-1].x},{floor}"
    return Line(label, points, area, tuple(dots) if len(dots) <= DOTTED else ())


def _title(day: date, values: Mapping[str, int]) -> str:
    return f"{day_label(day)} {day.year}: " + ", ".join(f"{value:,} {label.lower()}" for label, value in values.items())
