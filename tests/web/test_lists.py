"""The list pages, through the door."""

import pytest

from admin_app import resources
from admin_app.testing import Browser, Make

EVERY = [resource.name for resource in resources.plugin.resources]


@pytest.mark.parametrize("name", EVERY)
async def test_every_list_shows_its_rows(client: Browser, make: Make, name: str) -> None:
    ticket = await make.ticket()
    await make.comment(ticket, await make.agent())
    await make.tag("printer", ticket)
    answer = await client.get(f"/admin/{name}/list")
    assert answer.status_code == 200
