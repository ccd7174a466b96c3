"""Where an entry of the audit log leads: to the record, to its change set, to more of the log."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from admin_app.plugin import Visit
from admin_app.queries.audit import Entry

RESOURCES = {
    "attachments": "attachment",
    "comments": "comment",
    "tags": "tag",
    "tickets": "ticket",
    "users": "user",
}
"""Tables whose records have a page of their own, and what it is called in addresses."""

NOT_UNDONE = frozenset({"queued", "running", "undone"})
"""States of change sets that cannot be undone at the moment, or not again."""


def log(**filters: str | None) -> str:
    """The page with the whole log, narrowed down; None leaves a filter out."""
    return "/admin/page/audit_viewer/audit_log?" + urlencode({name: text for name, text in filters.items() if text})


@dataclass(frozen=True)
class Links:
    """Links for one viewer: only to what the viewer may see."""

    visit: Visit

    def record(self, entry: Entry) -> str | None:
        """The page of the record that an entry is about; it may be gone by now."""
        resource = RESOURCES.get(entry.table)
        if resource is None or entry.action == "DELETE" or not self.visit.may(f"{resource}.view"):
            return None
        return f"/admin/{resource}/details/{quote(entry.record_id)}"

    def change_set(self, entry: Entry) -> str | None:
        """Everything that was changed together with an entry."""
        own = entry.user_id == self.visit.user_id
        if entry.change_set_id is None or not (own or self.visit.may("change_set.view")):
            return None
        return f"/admin/change_set/details/{entry.change_set_id}"

    def undo(self, entry: Entry) -> str | None:
        """Where the change set of an entry can be undone, by those who may do what it did."""
        if entry.change_set_id is None or not entry.change_action or entry.change_state in NOT_UNDONE:
            return None
        own = entry.user_id == self.visit.user_id
        needed = "import.run" if entry.change_action.startswith("import.") else entry.change_action
        may = self.visit.may(needed) and (own or self.visit.may("change_set.undo"))
        return f"/admin/change_set/{entry.change_set_id}/undo" if may else None
