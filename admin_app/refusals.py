"""What the database refuses, as errors of ours with sentences for a person; the driver's own words stay in the log."""

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from admin_app.errors import BackdeskError, BadInput, Conflict, NobodyActing, TooSlow, Unavailable
from admin_app.triggers import KEY_CHANGED, NOBODY_ACTING

_AGAIN = "Somebody else was changing the same records at the same moment. Please try again."

ANSWERS: dict[str, tuple[type[BackdeskError], str | None]] = {
    NOBODY_ACTING: (NobodyActing, None),
    "25006": (NobodyActing, None),
    KEY_CHANGED: (BadInput, "The id of a record cannot be changed."),
    "23505": (Conflict, "Another record already has this value, and it must be unique."),
    "23503": (Conflict, "This refers to a record that does not exist, or other records still refer to this one."),
    "23502": (BadInput, "A value that is needed is missing."),
    "23514": (BadInput, "A value breaks a rule of the desk."),
    "22001": (BadInput, "A text is longer than there is room for."),
    "22003": (BadInput, "A number is larger than there is room for."),
    "22021": (BadInput, "A text holds a character that cannot be stored."),
    "22": (BadInput, "A value has a form that cannot be stored."),
    "40001": (Unavailable, _AGAIN),
    "40P01": (Unavailable, _AGAIN),
    "55P03": (Unavailable, _AGAIN),
    "57014": (TooSlow, None),
    "53300": (Unavailable, "The database has no free connection. Please try again."),
    "3D000": (Unavailable, "The database does not let Backdesk in. Check DATABASE_URL."),
    "28": (Unavailable, "The database does not let Backdesk in. Check DATABASE_URL."),
    "42P01": (Unavailable, "The database does not fit this version of Backdesk. Run `backdesk db upgrade`."),
    "42703": (Unavailable, "The database does not fit this version of Backdesk. Run `backdesk db upgrade`."),
    "08": (Unavailable, None),
    "25P03": (Unavailable, None),
    "53": (Unavailable, None),
    "57": (Unavailable, None),
}
"""By SQLSTATE, or its class: our error, and what a person is told; the driver's own words stay in the log."""


def translated(error: DBAPIError | PoolTimeoutError | ConnectionError) -> BackdeskError:
    """Our error for a driver's: its status and a sentence for a person, never the driver's text."""
    if isinstance(error, PoolTimeoutError):
        return Unavailable("The desk is busy: every database connection is in use. Please try again.")
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    if answer := ANSWERS.get(state) or ANSWERS.get(state[:2]):
        kind, sentence = answer
        return kind(EXPLAINED.get(_constraint(error), sentence))
    lost = isinstance(error, ConnectionError | OperationalError | InterfaceError)
    confused = isinstance(error, InternalError) and not state  # the driver, by a server that hung up meanwhile
    return Unavailable() if lost or confused else BackdeskError()


def _constraint(error: BaseException) -> str:
    """The name of the violated constraint, found on the driver's own exception."""
    cause: BaseException | None = getattr(error, "orig", None)
    while cause is not None:
        if name := getattr(cause, "constraint_name", None):
            return str(name)
        cause = cause.__cause__
    return ""


EXPLAINED = {
    "uq_users_email_lower": "Somebody with this e-mail address is already here.",
    "uq_tags_name_lower": "There is already a tag of this name.",
    "uq_recipes_name_lower": "There is already a recipe of this name.",
    "ck_tickets_title": "A ticket needs a title.",
    "ck_tickets_resolved_at": "A resolved or closed ticket has a time of resolution, and no other ticket has one.",
    "ck_comments_content": "A comment needs a text.",
    "ck_tags_color": "A colour is written like #1f6feb.",
    "ck_users_email": "An e-mail address needs an @ and no spaces around it.",
    "uq_change_sets_idempotency": "This was sent twice; it has been done once.",
}
"""By constraint, what a person is told."""
