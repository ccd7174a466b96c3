"""The geometry of a line chart, in the units of its SVG: numbers in, positions out. The template draws it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count

WIDTH, HEIGHT = 680, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 664, 10, 212
"""Where the lines are drawn; the rest is for the axes' labels."""

STEPS = 5
"""Grid lines above zero, at most."""

LABELS = 6
"""Days that are named below the chart, at most."""

DOTTED = 40
"""Up to so many days each has a dot of its own."""


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
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


def line_chart(days: Sequence[date], series: Mapping[str, Sequence[int]]) -> Chart:
    """Draw one line for each series, which has a value for every day."""
    top = _top(max((value for values in series.values() for value in values), default=0))
    width = (RIGHT - LEFT) / len(days)
    places = [LEFT + width * (number + 0.5) for number in range(len(days))]

    def height(value: int) -> float:
        return BOTTOM - (BOTTOM - TOP) * value / top.end

    return Chart(
        values=tuple(Tick(round(height(value), 1), f"{value:,}") for value in range(0, top.end + 1, top.step)),
        days=tuple(Tick(round(places[number], 1), day_label(days[number])) for number in _labelled(len(days))),
        lines=tuple(
            _line(label, [Dot(round(x, 1), round(height(value), 1)) for x, value in zip(places, values, strict=True)])
            for label, values in series.items()
        ),
        slots=tuple(
            Slot(round(x - width / 2, 1), round(width, 1), _title(day, {name: series[name][number] for name in series}))
            for number, (day, x) in enumerate(zip(days, places, strict=True))
        ),
    )


def day_label(day: date) -> str:
    """`29 Mar`; the year stands in the heading."""
    return f"{day.day} {day:%b}"


@dataclass(frozen=True)
class _Scale:
    end: int
    step: int


def _top(highest: int) -> _Scale:
    """A round step, 1, 2 or 5 times a power of ten, of which at most five reach the highest value."""
    step = next(step for step in _round_steps() if step * STEPS >= highest)
    return _Scale(max(step, -(-highest // step) * step), step)


def _round_steps() -> Iterator[int]:
    return (digit * 10**power for power in count() for digit in (1, 2, 5))


def _labelled(number_of_days: int) -> range:
    return range(0, number_of_days, -(-number_of_days // LABELS))


def _line(label: str, dots: Sequence[Dot]) -> Line:
    points = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    area = f"{dots[0].x},{BOTTOM} {points} {dots[-1].x},{BOTTOM}"
    return Line(label, points, area, tuple(dots) if len(dots) <= DOTTED else ())


def _title(day: date, values: Mapping[str, int]) -> str:
    return f"{day_label(day)} {day.year}: " + ", ".join(f"{value:,} {label.lower()}" for label, value in values.items())
