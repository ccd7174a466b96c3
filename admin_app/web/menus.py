"""One's own menu: views hidden from it and brought back, and their order; nobody else's menu changes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqladmin.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import Response

from admin_app.editing import key_of
from admin_app.errors import NotFound
from admin_app.queries import menus
from admin_app.queries.saved_views import View
from admin_app.web.context import actor_of, desk_of, form_of, path, queues, redirect, workable

STEPS = {"up": -1, "down": 1}
HOME = path("views")


@dataclass(frozen=True, kw_only=True)
class Menu:
    """The views of somebody's menu in order, those that they hid, and whether anything is as they made it."""

    shown: Sequence[View]
    hidden: Sequence[View]
    own: bool


def own(request: Request) -> Menu:
    """The menu of the viewer."""
    views = workable(request)
    hidden = [view for view in views if view.hidden]
    return Menu(shown=queues(request), hidden=hidden, own=bool(hidden) or any(view.place for view in views))


async def arrange(request: Request, templates: Jinja2Templates) -> Response:
    """Hide a view, bring it back, or move it one place up or down; raises NotFound for one that is not in the menu."""
    await form_of(request)
    way, key, user_id = request.path_params["way"], key_of(request.path_params["id"]), actor_of(request).user_id
    order = [view.id for view in queues(request)]
    if key not in {view.id for view in workable(request)} or (way in STEPS and key not in order):
        raise NotFound
    async with desk_of(request).database.bookkeeping() as session:
        if way in STEPS:
            place = order.index(key)
            order.insert(max(place + STEPS[way], 0), order.pop(place))
            await menus.order(session, user_id, order)
        elif way in {"hide", "show"}:
            await menus.hide(session, user_id, key, hidden=way == "hide")
        else:
            raise NotFound
    return redirect(request, f"{HOME}#menu-{key}")


async def reset(request: Request, templates: Jinja2Templates) -> Response:
    """Nothing hidden, and the order that those who share views have chosen."""
    await form_of(request)
    async with desk_of(request).database.bookkeeping() as session:
        await menus.reset(session, actor_of(request).user_id)
    return redirect(request, HOME)


ROUTES = (
    ("/views/menu", ("POST",), reset),
    ("/views/{id}/menu/{way}", ("POST",), arrange),
)
"""What is done on the page of views to one's own menu, which everybody may."""
