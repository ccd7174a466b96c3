"""A small issue archive in the form of the real one, for machines that do not have that."""

import csv
import json
from pathlib import Path

SUBJECTS = ("App crashes on start", "Map does not load", "Push message arrives twice", "Button has no label")


def write_archive(folder: Path) -> Path:
    """Write users.csv, tickets.jsonl and comments.jsonl: 60 open tickets, 20 closed, with dirt in them."""
    with (folder / "users.csv").open("w", newline="") as file:
        names = ("id", "email", "full_name", "is_active", "is_staff", "timezone", "first_seen")
        table = csv.DictWriter(file, names)
        table.writeheader()
        for number in range(1, 11):
            staff = "true" if number < 4 else "false"
            seen = "2012-01-01T00:00:00.000Z"
            values = (f"u{number}", f"u{number}@example.com", f"Person {number}", "true", staff, "Europe/Berlin", seen)
            table.writerow(dict(zip(names, values, strict=True)))
    tickets = [ticket(number) for number in range(1, 81)]
    (folder / "tickets.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in tickets))
    comments = [comment(number) for number in range(1, 41)]
    (folder / "comments.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in comments))
    return folder


def ticket(number: int) -> dict[str, object]:
    """One issue as the archive writes it; every fourth is closed, one has a NUL in it."""
    closed = number % 4 == 0
    return {
        "key": f"APP-{number}",
        "project": "APP",
        "type": "Bug",
        "summary": f"{SUBJECTS[number % 4]} ({number})" + ("\x00" if number == 7 else ""),
        "description": "It happens every time.",
        "status": "Closed" if closed else "Open",
        "priority": "High",
        "resolution": "Fixed" if closed else None,
        "reporter": f"u{number % 7 + 4}",
        "creator": f"u{number % 7 + 4}",
        "assignee": "u1" if number % 5 == 0 else None,
        "created": f"2012-03-{number % 28 + 1:02}T10:00:00.000Z",
        "updated": "2012-05-01T10:00:00.000Z",
        "resolved": "2012-05-01T10:00:00.000Z" if closed else None,
        "labels": ["android", "Android"] if number % 3 == 0 else [],
        "components": [],
        "affects": [],
        "fixed_in": [],
        "environment": None,
        "parent": None,
        "links": [],
        "attachments": [],
        "comment_count": 0,
    }


def comment(number: int) -> dict[str, object]:
    """One comment as the archive writes it."""
    at = f"2012-04-{number % 28 + 1:02}T12:00:00.000Z"
    return {
        "id": number,
        "ticket": f"APP-{number}",
        "author": f"u{number % 3 + 1}",
        "created": at,
        "updated": at,
        "edited_by": None,
        "body": f"Seen here too, number {number}.",
    }
