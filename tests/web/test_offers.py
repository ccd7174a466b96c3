"""What a list offers to do: the actions most used as buttons, all others in a menu, dangerous ones last."""

import re

from admin_app.testing import Browser, Make
from tests.web.forms import role


def bar_of(page: str) -> tuple[list[str], list[str]]:
    """The words on the buttons of the bar, and those in its menu; what only telephones show is left out."""
    bar = page[page.index('class="bulk-bar"') :]
    at_hand, _, menu = bar.partition('<details class="menu up more">')
    menu = menu.partition("data-select-none")[0]
    written = r"<button([^>]*formaction=[^>]*)>(?:<svg.*?</svg>)?(.*?)</button>"
    buttons, items = (re.findall(written, part, re.DOTALL) for part in (at_hand, menu))
    return [words for _, words in buttons], [words for facts, words in items if "only-phone" not in facts]


async def test_actions_with_a_key_come_first_and_dangerous_ones_last(client: Browser, make: Make) -> None:
    await make.ticket()
    at_hand, menu = bar_of((await client.get("/admin/ticket/list")).text)
    assert at_hand == ["Assign to agent", "Add internal note", "Set priority"]
    assert menu[:2] == ["Set status", "Add tags"]
    assert menu[-1] == "Move to trash"
    assert {"Assign to nobody", "Distribute", "Reopen", "Replace tags"} < {*menu}


async def test_a_dangerous_action_is_never_at_hand_even_where_there_is_no_other(browser: Browser, make: Make) -> None:
    await make.ticket()
    await browser.sign_in(await make.agent(await role(make, "ticket.view", "trash.put")))
    assert bar_of((await browser.get("/admin/ticket/list")).text) == ([], ["Move to trash"])


async def test_beside_a_row_stands_only_what_the_viewer_may_do(browser: Browser, make: Make) -> None:
    await make.ticket()
    await browser.sign_in(await make.agent(await role(make, "ticket.view", "notes.add")))
    page = (await browser.get("/admin/ticket/list")).text
    beside = page[page.index("<template data-row-actions>") :].partition("</template>")[0]
    assert re.findall(r'aria-label="([^"]*)"', beside) == ["Open", "Add internal note"]


async def test_in_the_trash_stands_what_can_be_done_there(client: Browser, make: Make) -> None:
    ticket = await make.ticket()
    sent = {"ids": str(ticket.id), "reason": "spam", "confirmed": "1"}
    assert (await client.submit("/admin/ticket/do/trash.put", sent)).status_code == 303
    page = (await client.get("/admin/ticket/list?trash=yes")).text
    at_hand, menu = bar_of(page)
    assert at_hand == ["Restore from trash"]
    assert "Assign to agent" not in menu
    beside = page[page.index("<template data-row-actions>") :].partition("</template>")[0]
    assert re.findall(r'aria-label="([^"]*)"', beside) == ["Open", "Restore from trash"]
