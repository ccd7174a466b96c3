"""Numbers in words: durations, counts and shares as people read them."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400
NOTHING = "–"


def duration(seconds: float | None) -> str:
    """The two greatest units: `45 s`, `12 min`, `3 h 12 min`, `2 d 4 h`; a dash for None."""
    if seconds is None:
        return NOTHING
    if round(seconds) < MINUTE:
        return f"{round(seconds)} s"
    for unit, name, smaller, smaller_name in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        whole, rest = divmod(round(seconds / smaller), unit // smaller)
        if whole:
            return f"{whole:,} {name} {rest} {smaller_name}" if rest else f"{whole:,} {name}"
    return f"{round(seconds / MINUTE)} min"


def number(count: int) -> str:
    """`12,345`."""
    return f"{count:,}"


def share(rate: float | None) -> str:
    """`7 %`; below ten with one decimal; a dash for None."""
    if rate is None:
        return NOTHING
    return f"{rate:.1%}" if 0 < rate < 0.1 else f"{rate:.0%}"
