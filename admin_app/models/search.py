"""The words of the desk, from which a search that finds nothing is told what may have been meant."""

from sqlalchemy import Boolean, CheckConstraint, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from admin_app.models.base import Base


class SearchWord(Base):
    """A word that customers can read, in lower case, and in how many tickets it was found: an estimate."""

    __tablename__ = "search_words"

    word: Mapped[str] = mapped_column(String(40), primary_key=True)
    tickets: Mapped[int] = mapped_column(Integer)


class SearchPosition(Base):
    """The ticket up to which words have been counted; one row."""

    __tablename__ = "search_position"
    __table_args__ = (CheckConstraint("single", "single"),)

    single: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    ticket_id: Mapped[int] = mapped_column(server_default=text("0"))
