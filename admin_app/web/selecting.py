"""What an action is for: rows that were ticked in a list, or all that it finds, frozen; or a few named by their ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request

from admin_app.errors import BadInput, BadRequest, NotFound
from admin_app.models import Selection
from admin_app.plugin import Chosen, Resource
from admin_app.queries import rows, rules, saved_views, selections
from admin_app.queries.filters import BIGGEST
from admin_app.queries.listing import APPEARANCE, ListQuery, within
from admin_app.queries.periods import Viewer
from admin_app.queries.selections import Drift
from admin_app.queries.shortened import lean
from admin_app.web import panel
from admin_app.web.context import actor_of, desk_of, inside, path, zone_of
from admin_app.web.panel import Chip

SAMPLE = 10
"""Rows that are shown of a selection."""

MANY_NEW = 10_000
"""New rows that match a filter are counted up to here."""


@dataclass(frozen=True)
class Choice:
    """The rows that were chosen, those among them that the viewer may see; and the selection that keeps them."""

    chosen: Chosen[Any]
    selection: Selection | None = None

    @property
    def number(self) -> int:
        """How many there are."""
        return self.chosen.requested

    @property
    def fields(self) -> dict[str, str]:
        """The fields by which a form names them."""
        if self.selection is not None:
            return {"selection": str(self.selection.id)}
        return {"ids": ",".join(map(str, self.chosen.ids))}


def viewer_of(request: Request) -> Viewer:
    """Whoever looks at a list, and when: what `me` and `today` mean there."""
    desk = desk_of(request)
    return Viewer(actor_of(request).user_id, zone_of(request), datetime.now(UTC), desk.list_signer)


def asked(request: Request, resource: Resource, pairs: Iterable[tuple[str, str]]) -> ListQuery:
    """What the parameters of a list ask for, of the rows that the viewer may see, and within which saved view.

    Raises BadRequest, or NotFound for a view that is not the viewer's to see.
    """
    given, view = list(pairs), None
    if "view" not in resource.filters and (number := saved_views.numbered(given)) is not None:
        view = saved_views.named(actor_of(request).views, resource.name, number)
        given = within(resource, view, given)
    query = ListQuery.parse(resource, given, viewer_of(request))
    return replace(query, visible=rules.visible(actor_of(request), resource.model), view=view)


async def freeze(request: Request, resource: Resource, form: FormData) -> int | None:
    """Keep what was ticked in a list's form; gives the selection's id, None where nothing was ticked.

    With `all` these are the rows that the list finds now but for those `without`; no field has an entry for each.
    Raises BadRequest for what cannot be read, and BadInput with the number where there are too many.
    """
    pairs = parse_qsl(_text(form, "filter"), keep_blank_values=True)
    query = asked(request, resource, pairs)
    everything = bool(_text(form, "all"))
    ticked = by_ids(resource, [value for value in form.getlist("ids") if isinstance(value, str)])
    if not everything and not ticked.requested:
        return None
    filter = whole(query) if everything else ""  # noqa: A001  the column's name
    desk, actor, keys = desk_of(request), actor_of(request), ticked.keys()
    without = by_ids(resource, [_text(form, "without")]).ids if everything else ()
    async with desk.database.bookkeeping() as session:
        if everything:
            keys = await selections.found(session, resource, filter, viewer_of(request), query.visible, without)
        kept = await selections.freeze(
            session,
            keys,
            user_id=actor.user_id,
            resource=resource.name,
            filter=filter,
            limit=desk.settings.limits.bulk,
            keep=timedelta(hours=desk.settings.selection_hours),
        )
    return kept.id


def home(resource: Resource, form: FormData) -> str:
    """The list from which a form was sent."""
    address, filter = path(resource.name, "list"), _text(form, "filter")  # noqa: A001  the field's name
    return inside(_text(form, "back"), inside(f"{address}?{filter}", address) if filter else address)


def whole(query: ListQuery) -> str:
    """The query string of all pages of a list; never empty, since it names the order."""
    return panel.encoded(query.alone.pairs(**APPEARANCE, sort=query.sort))


async def chosen(request: Request, resource: Resource, given: QueryParams | FormData) -> Choice:
    """What an address or a form names: `selection=5`, or `ids=1,2`.

    Raises BadRequest for what is no id, and NotFound for a selection that is not the viewer's, or has expired.
    """
    visible = rules.visible(actor_of(request), resource.model)
    if not (text := _text(given, "selection")):
        ids = [value for value in given.getlist("ids") if isinstance(value, str)]
        return Choice(by_ids(resource, ids).seen(visible))
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= BIGGEST):
        raise BadRequest("A selection is named by its number.")
    async with desk_of(request).database.read() as session:
        kept = await selections.find(session, int(text), actor_of(request).user_id)
    if kept.resource != resource.name:
        raise NotFound
    return Choice(Chosen.frozen(resource.model, kept.id, kept.row_count).seen(visible), kept)


def by_ids(resource: Resource, texts: list[str]) -> Chosen[Any]:
    """Rows from `1` and `2`, or `1,2`; raises BadRequest for anything that is no id."""
    parts = [part for text in texts for part in text.split(",") if part.strip()]
    if wrong := [part for part in parts if not part.strip().isdecimal() or len(part) > 19]:
        raise BadRequest(f"“{wrong[0][:40]}” is no id; ids are whole numbers.")
    try:
        return Chosen.of(resource.model, (int(part) for part in parts))
    except BadInput as error:
        raise BadRequest(error.message) from error


async def told(request: Request, session: AsyncSession, resource: Resource, choice: Choice) -> Mapping[str, Any]:
    """What a page says of a choice: some of the rows, how many are there, the filter, and what happened since."""
    model, rows_of = resource.model, choice.chosen
    key = model.id  # type: ignore[attr-defined]
    present = (rows_of.where(key), *rows_of.visible)
    sample = select(model).where(*present).order_by(key).limit(SAMPLE).options(*lean(model))
    found = await session.scalar(select(func.count()).select_from(model).where(*present)) or 0
    facts = {"sample": (await session.scalars(sample)).all(), "found": found, "chips": [], "since": []}
    if (kept := choice.selection) is None:
        return facts
    if not kept.filter:
        happened = await selections.drift(session, kept, model, list(present))
        return facts | {"since": _since(replace(happened, left=0, new=0))}
    query = await asked(request, resource, parse_qsl(kept.filter, keep_blank_values=True)).understood(session)
    happened = await selections.drift(session, kept, model, query.conditions())
    return facts | {
        "chips": await chips(request, session, resource, query),
        "since": _since(replace(happened, left=happened.left - (choice.number - found))),
    }


async def chips(request: Request, session: AsyncSession, resource: Resource, query: ListQuery) -> list[Chip]:
    """The filter of a list in words, with each the list without it."""
    reader, named = panel.Reader(request), await rows.related(session, query)
    return panel.chips(resource, query, named, reader.name_of, panel.addresses(path(resource.name, "list"), query))


def _since(happened: Drift) -> list[str]:
    """What happened since a selection was frozen, a sentence each; nothing where nothing did."""
    more = "" if happened.new < MANY_NEW else " or more"
    return [
        *_sentence(happened.changed, "1 of them changed since.", f"{happened.changed:,} of them changed since."),
        *_sentence(
            happened.left,
            "1 of them no longer matches the list, and is still included.",
            f"{happened.left:,} of them no longer match the list, and are still included.",
        ),
        *_sentence(
            happened.new,
            "1 new one matches, and is not included.",
            f"{happened.new:,}{more} new ones match, and are not included.",
        ),
    ]


def _sentence(number: int, one: str, many: str) -> list[str]:
    return [] if number <= 0 else [one if number == 1 else many]


def _text(given: FormData | QueryParams, name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""
