"""Books on shelves: a table of a plugin's own, and an action of five lines."""

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from admin_app.models import Audited, Base, Numbered, Versioned
from admin_app.plugin import Chosen, Outcome, Plugin
from admin_app.queries.changes import apply

plugin = Plugin(__name__)


class Book(Numbered, Versioned, Audited, Base):
    """A book, which may be the next volume of another."""

    __tablename__ = "library_books"
    __table_args__ = (CheckConstraint("shelf <= 9", "shelf"),)
    lookup = ("title",)

    title: Mapped[str] = mapped_column(String(100))
    shelf: Mapped[int] = mapped_column(Integer)
    is_lent: Mapped[bool]
    follows_id: Mapped[int | None] = mapped_column(ForeignKey("library_books.id"))


plugin.resource(Book, columns=("title", "shelf", "is_lent"), form=("title", "shelf", "is_lent"), filters=("is_lent",))


@plugin.action(Book, label="Move")
async def move(session: AsyncSession, chosen: Chosen[Book], by: int) -> Outcome:
    """So many shelves up; there are nine. What is lent stays where it is not."""
    return await apply(session, chosen, set={Book.shelf: Book.shelf + by}, skip={"lent": Book.is_lent.is_(True)})
