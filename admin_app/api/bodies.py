"""Reading what a script sends: JSON and nothing else, of a bounded size, without a name or a character in doubt."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from admin_app.errors import BackdeskError, BadRequest
from admin_app.models import storable

BYTES = 3 * 1024 * 1024
"""Bytes that a body may have."""
KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
REFERENCE_LENGTH = 100


class TooLarge(BackdeskError):
    """This body is larger than the API takes at once."""

    status = 413


class NotJson(BackdeskError):
    """Send the body as JSON: Content-Type: application/json."""

    status = 415


@dataclass(frozen=True)
class Body:
    """A JSON object that was sent."""

    values: dict[str, Any] = field(default_factory=dict)

    def only(self, *names: str) -> None:
        """Raise BadRequest naming each member that is not among `names`."""
        if unknown := [name for name in self.values if name not in names]:
            raise BadRequest(
                fields={name[:60]: f"is not known here; known are {', '.join(names)}." for name in unknown}
            )

    def text(self, name: str, longest: int | None = None) -> str | None:
        """A member that is a text, without the space around it; None where it is empty or not sent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadRequest(fields={name: "takes a text."})
        if longest is not None and len(value.strip()) > longest:
            raise BadRequest(fields={name: f"has {len(value.strip()):,} characters; at most {longest:,} fit."})
        return value.strip() or None

    @property
    def reason(self) -> str | None:
        """Why, for the audit log."""
        return self.text("reason")

    @property
    def reference(self) -> str | None:
        """What it belongs to, such as TICKET-123."""
        return self.text("reference", REFERENCE_LENGTH)


async def body_of(request: Request, *, needed: bool = True) -> Body:
    """The JSON object of a request; empty where none is `needed` and none was sent.

    Raises NotJson, TooLarge, or BadRequest for what is no JSON object, names a member twice, or cannot be stored.
    """
    if int(request.headers.get("content-length", "0")) > BYTES:
        raise TooLarge
    sent = await request.body()
    if not sent and not needed:
        return Body()
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"application/json" or options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise NotJson
    try:
        value = json.loads(sent.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise BadRequest("This JSON is nested too deeply.") from error
    except ValueError as error:
        raise BadRequest("The body is not valid JSON in UTF-8.") from error
    if not isinstance(value, dict):
        raise BadRequest("The body has to be a JSON object.")
    if b"\\u" in sent:  # what cannot be stored can only be escaped: as it is it would be no JSON, or no UTF-8
        _check_storable(value)
    return Body(value)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(fields={twice[:60] if storable(twice) else "": "is given twice."})
    return found


def _no_number(text: str) -> Any:
    raise BadRequest(f"{text} is no number of JSON.")


def _check_storable(value: dict[str, Any]) -> None:
    """Raise BadRequest where a text, however deep, holds what cannot be stored."""
    for name, member in value.items():
        waiting = [member]
        if not storable(name):
            raise BadRequest("The name of a member holds a character that cannot be stored.")
        while waiting:
            one = waiting.pop()
            if isinstance(one, str) and not storable(one):
                raise BadRequest(fields={name[:60]: "holds a character that cannot be stored."})
            if isinstance(one, dict):
                waiting += [*one, *one.values()]
            elif isinstance(one, list):
                waiting += one


def idempotency_key(request: Request) -> str | None:
    """What a script sends along so that a repeated request is done once; raises BadRequest for an unusable one."""
    given = request.headers.get("idempotency-key")
    if given is not None and not KEY.fullmatch(given):
        raise BadRequest(fields={"Idempotency-Key": "takes 1 to 64 letters, digits, - and _."})
    return given


def check_query(request: Request, known: Collection[str] = ()) -> None:
    """Raise BadRequest naming each parameter of the address that is not known here, rather than do as if not asked."""
    if unknown := [name for name in request.query_params if name not in known]:
        sentence = f"is not known here; known are {', '.join(known)}." if known else "is not known here."
        raise BadRequest(fields={(name[:60] if storable(name) else "?"): sentence for name in unknown})


def switched(request: Request, name: str) -> bool:
    """Whether a parameter such as `?preview` is there; raises BadRequest where it says anything but yes."""
    given = request.query_params.getlist(name)
    if wrong := [value for value in given if value not in {"", "yes"}]:
        raise BadRequest(fields={name: f"is written ?{name}, not with “{wrong[0][:20]}”."})
    return bool(given)
