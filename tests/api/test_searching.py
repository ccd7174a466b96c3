"""The language of lists for scripts: searches, none of, comparisons, and people by name."""

from admin_app.testing import Make, Script


async def test_a_list_takes_what_the_search_box_takes(api: Script, make: Make) -> None:
    ana = await make.agent(full_name="Ana Ruiz", email="ana@example.com")
    await make.ticket(title="hers", assignee_id=ana.id, priority="urgent")
    await make.tag("paper", await make.ticket(title="a jam"))
    await make.ticket(title="late", status="in_progress")
    for query, found in {
        "q=(status:open assignee:none) OR priority:urgent": ["a jam", "hers"],
        "q=paper": ["a jam"],
        "status!=open": ["late"],
        "assignee=ana@example.com": ["hers"],
        'assignee!="Ana Ruiz"': ["a jam", "late"],
        "created=>=2001-01-01": ["a jam", "hers", "late"],
        "created=<2001-01-01": [],
    }.items():
        answer = await api.get(f"/api/ticket?{query}")
        assert answer.status_code == 200, answer.text
        assert sorted(item["title"] for item in answer.json()["items"]) == found, query


async def test_an_action_takes_a_search_as_its_filter(api: Script, make: Make) -> None:
    await make.tag("paper", await make.ticket(title="tagged"))
    await make.ticket(title="The paper is empty")
    await make.ticket(title="other")
    body = {"filter": "q=paper is:unassigned", "inputs": {"priority": "low"}}
    answer = await api.post("/api/ticket/actions/priority.change", json=body)
    assert answer.json()["changed"] == 2
    wrong = await api.post("/api/ticket/actions/priority.change", json={**body, "filter": "q=statsu:open"})
    assert wrong.status_code == 400
    assert "Did you mean status?" in wrong.text
