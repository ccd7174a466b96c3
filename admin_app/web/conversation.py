"""A ticket's comments as markup; whatever somebody wrote is escaped here."""
# ruff: noqa: S704  every value that goes into markup here has been through `escape`

from collections.abc import Sequence

from markupsafe import Markup, escape
from starlette.requests import Request

from admin_app.models import User
from admin_app.queries.comments import Said
from admin_app.queries.light import Reference
from admin_app.web.context import BASE
from admin_app.web.markup import avatar, badge, time
from admin_app.web.table import Sight


def thread(request: Request, comments: Sequence[Said]) -> Markup:
    """What was said about a ticket, one after the other; authors with their pages for those who may see them."""
    page, _ = Sight(request).of(User)
    heads = {comment.author.id: _author(comment.author, page) for comment in comments}
    return Markup("\n".join([_article(comment, heads[comment.author.id]) for comment in comments]))


def _author(author: Reference, page: str) -> str:
    name = escape(author.label)
    shown = f'<a href="{page}{author.id}">{name}</a>' if page else name
    return f'{avatar(author.label, "small")}<span class="author">{shown}</span>'


def _article(comment: Said, author: str) -> str:
    kind = "comment internal" if comment.is_internal else "comment"
    edited = '\n<span class="muted small">edited</span>' if comment.version > 1 else ""
    return (
        f'<article class="{kind}" id="comment-{comment.id}"><header class="comment-head">{author}\n'
        f'<a class="muted" href="{BASE}/comment/details/{comment.id}">{time(comment.created_at)}</a>'
        f"{edited}{NOTE if comment.is_internal else ''}</header>"
        f'<div class="comment-body">{escape(comment.content)}</div></article>'
    )


NOTE = "\n" + badge("Internal note", "warning", "lock")
