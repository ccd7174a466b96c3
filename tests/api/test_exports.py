"""Whole lists for scripts: streamed, with the sender's permissions, and recorded."""

import csv
import io
import json

from sqlalchemy import select

from admin_app.models import ChangeSet, Door
from admin_app.testing import Make, Script

ADDRESS = "/api/ticket/export"


async def test_a_script_gets_the_whole_of_a_filtered_list(api: Script, make: Make) -> None:
    made = [await make.ticket(title=f"Fan {number}") for number in range(3)]
    await make.ticket(title="Another")
    answer = await api.get(f"{ADDRESS}?format=jsonl&q=fan&sort=id&columns=id,title")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert rows == [{"id": one.id, "title": one.title} for one in made]
    answer = await api.get(f"{ADDRESS}?q=fan&sort=id&columns=id,title&labels=yes")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(answer.text)))[:2] == [["ID", "Title"], [str(made[0].id), "Fan 0"]]
    async with api.desk.database.read() as session:
        done = (await session.scalars(select(ChangeSet).where(ChangeSet.action == "ticket.export"))).all()
    assert [(one.door, one.parameters["rows"], one.parameters["format"]) for one in done] == [
        (Door.API, 3, "jsonl"),
        (Door.API, 3, "csv"),
    ]


async def test_what_cannot_be_exported_is_said_by_parameter(api: Script, make: Make) -> None:
    for asked, name in (("format=ods", "format"), ("columns=secret", "columns"), ("status=foo", "status")):
        answer = await api.get(f"{ADDRESS}?{asked}")
        assert answer.status_code == 400
        assert name in answer.json()["error"]["fields"]
    assert (await api.get("/api/nothing/export")).status_code == 404
    await api.act_as(await make.agent())
    assert (await api.get(ADDRESS)).status_code == 403
    del api.headers["authorization"]
    assert (await api.get(ADDRESS)).status_code == 401
