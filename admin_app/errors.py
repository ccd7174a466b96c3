"""Every error that Backdesk raises on purpose, each with an HTTP status and a sentence for a person.

    BackdeskError 500
    ├── NobodyActing 500          a write without anybody who acts: a mistake in code, never in input
    ├── BadInput 422              a value that cannot be used; says which field and why
    │   ├── BadRequest 400        a malformed URL, filter or body
    │   ├── NothingMatches 422    a filter that finds no row
    │   └── IllegalTransition 422 a status that cannot follow the present one
    ├── SignInRequired 401
    ├── Forbidden 403
    │   └── CrossSite 403         a form that was not ours
    ├── NotFound 404
    ├── Conflict 409
    │   └── ChangedMeanwhile 409  somebody saved the record first
    ├── TooMany 429               more than a limit allows, in rows or in tries
    ├── Unavailable 503           the database does not answer
    │   └── TooSlow 503           a statement was stopped because it took too long
    ├── SettingsError 500         the environment names something impossible
    ├── PluginsRefused 500        one or more plugins have mistakes; all are listed
    └── LocalServerError 500      the local PostgreSQL cannot be found, started or reached

The message is the class's docstring when none is given, so that no error is without an explanation.
"""

from collections.abc import Mapping


class BackdeskError(Exception):
    """Something went wrong that we did not foresee."""

    status = 500

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip()
        super().__init__(self.message)


class NobodyActing(BackdeskError):
    """A change was attempted outside a change set, so nobody would have answered for it."""


class BadInput(BackdeskError):
    """Some of what was entered cannot be used."""

    status = 422

    def __init__(self, message: str | None = None, *, fields: Mapping[str, str] | None = None) -> None:
        self.fields = dict(fields or {})
        if message is None and self.fields:
            message = " ".join(f"{name}: {reason}" for name, reason in self.fields.items())
        super().__init__(message)


class BadRequest(BadInput):
    """The address or the form could not be understood."""

    status = 400


class NothingMatches(BadInput):
    """Nothing matches any more, so there is nothing to select."""


class IllegalTransition(BadInput):
    """A ticket cannot go from its present status to this one."""


class SignInRequired(BackdeskError):
    """Please sign in first."""

    status = 401


class Forbidden(BackdeskError):
    """You do not have the permission for this."""

    status = 403


class CrossSite(Forbidden):
    """This form did not come from Backdesk, or it is too old. Please load the page again."""


class NotFound(BackdeskError):
    """There is nothing here, or you may not see it."""

    status = 404


class Conflict(BackdeskError):
    """This does not fit what is already stored."""

    status = 409


class ChangedMeanwhile(Conflict):
    """Somebody else saved this record after you opened it."""


class TooMany(BackdeskError):
    """That is more than the limit allows."""

    status = 429


class Unavailable(BackdeskError):
    """The database does not answer in time. Please try again."""

    status = 503


class TooSlow(Unavailable):
    """The database took too long for this. Narrow it down and try again."""


class SettingsError(BackdeskError):
    """A setting in the environment cannot be used."""


class PluginsRefused(BackdeskError):
    """Some plugins have mistakes, so Backdesk did not start."""


class LocalServerError(BackdeskError):
    """The local PostgreSQL server cannot be used."""
