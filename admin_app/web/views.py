"""Resources as SQLAdmin's model views: built from values, closed where SQLAdmin is open, and bound to our own pages."""

from types import new_class
from typing import Any, ClassVar, cast

from sqladmin import ModelView
from sqladmin.application import expose
from sqladmin.authorization import Action, AuthorizationBackend
from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.errors import Forbidden
from admin_app.plugin import Resource
from admin_app.web import (
    actions,
    attachments,
    building,
    columns,
    counting,
    exporting,
    facets,
    filtering,
    inline,
    lists,
    lookups,
    records,
)
from admin_app.web.context import actor_or_none, desk_of

DEEDS = {
    Action.LIST: "view",
    Action.DETAILS: "view",
    Action.CREATE: "create",
    Action.EDIT: "edit",
    Action.EXPORT: "export",
}
"""SQLAdmin's actions and the permission each needs; what is not here is never allowed through SQLAdmin."""


class Authorization(AuthorizationBackend):
    """What the signed-in person may do, by the permissions of their roles."""

    def has_permission(self, request: Request, identity: str, action: str, obj: Any | None = None) -> bool:
        actor, deed = actor_or_none(request), DEEDS.get(action)  # type: ignore[call-overload]
        resource = desk_of(request).registry.resources.get(identity)
        if actor is None or deed is None or resource is None:
            return False
        possible = {"create": resource.can_create, "edit": resource.can_edit}.get(deed, True)
        return possible and actor.may(f"{identity}.{deed}")


class RecordView(ModelView):
    """A resource in the admin. SQLAdmin finds and guards it; lists, forms and changes are ours."""

    resource: ClassVar[Resource]
    templates: ClassVar[Jinja2Templates]
    can_delete = False
    can_import = False
    can_view_details = True

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        """Make a record as a change set of its own."""
        return await records.insert(request, self.resource, data)

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        """Change a record as a change set of its own, unless somebody else changed it first."""
        return await records.update(request, self.resource, pk, data)

    @expose("/do/{action}", methods=["GET", "POST"])
    async def do(self, request: Request) -> Response:
        """An action's form, and its performance."""
        return await actions.page(request, self.resource, self.templates)

    @expose("/selected/{export_type}", methods=["POST"])
    async def selected(self, request: Request) -> Response:
        """What was ticked in a list, as a file."""
        return await exporting.select(request, self.resource)

    @expose("/order/{export_type}", methods=["POST"])
    async def order(self, request: Request) -> Response:
        """A file that is made in the background."""
        return await exporting.order(request, self.resource)

    @expose("/lookup/{field}", methods=["GET"])
    async def lookup(self, request: Request) -> Response:
        """What a picker offers."""
        return await lookups.answer(request, self.resource)

    @expose("/inline/{id}/{column}", methods=["GET", "POST"])
    async def inline(self, request: Request) -> Response:
        """The control of one value in the list, and saving it."""
        return await inline.answer(request, self.resource, self.templates)

    @expose("/comments/{id}", methods=["POST"])
    async def comment(self, request: Request) -> Response:
        """Add a comment to a ticket."""
        return await records.comment(request, self.resource, self.templates)

    @expose("/file/{id}", methods=["GET"])
    async def file(self, request: Request) -> Response:
        """The bytes of an attachment."""
        return await attachments.download(request, self.resource)

    @expose("/upload/{id}", methods=["POST"])
    async def upload(self, request: Request) -> Response:
        """Attach files to a ticket."""
        return await attachments.upload(request, self.resource, self.templates)

    @expose("/columns", methods=["GET", "POST"])
    async def choose_columns(self, request: Request) -> Response:
        """Which columns the list shows."""
        self._require_view(request)
        return await columns.page(request, self.resource, self.templates)

    @expose("/filters", methods=["GET"])
    async def show_filters(self, request: Request) -> Response:
        """What the list can be narrowed down by."""
        self._require_view(request)
        return await filtering.page(request, self.resource, self.templates)

    @expose("/count", methods=["GET"])
    async def count_rows(self, request: Request) -> Response:
        """How many rows the list has."""
        self._require_view(request)
        return await counting.page(request, self.resource, self.templates)

    @expose("/facets", methods=["GET"])
    async def facet_values(self, request: Request) -> Response:
        """What the list could be narrowed down to."""
        self._require_view(request)
        return await facets.page(request, self.resource, self.templates)

    @expose("/build", methods=["GET"])
    async def build_conditions(self, request: Request) -> Response:
        """Conditions in groups, to make the list's search of."""
        self._require_view(request)
        return await building.page(request, self.resource, self.templates)

    def _require_view(self, request: Request) -> None:
        if not self.has_permission(request, Action.LIST):
            raise Forbidden

    async def list_page(self, request: Request) -> Response:
        return await lists.page(request, self.resource, self.templates)


def view_of(resource: Resource) -> type[RecordView]:
    """The model view of a resource; a class of its own for every admin, because SQLAdmin keeps state on classes."""
    facts = {
        "resource": resource,
        "name": resource.label,
        "name_plural": resource.label_plural,
        "category": resource.group,
        "can_create": resource.can_create,
        "can_edit": resource.can_edit,
        "column_list": [name for name in resource.columns if name in resource.model.__mapper__.attrs],
        "form_columns": [name for name in resource.form if name in resource.model.__mapper__.attrs],
        "__module__": __name__,
    }
    name = f"{resource.model.__name__}View"
    made = new_class(name, (RecordView,), {"model": resource.model}, lambda body: body.update(facts))
    view = cast(type[RecordView], made)
    view.identity = resource.name
    return view
