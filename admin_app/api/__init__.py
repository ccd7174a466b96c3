"""The desk for scripts: JSON under `/api`, with the permissions, the rules and the audit log of the pages."""

from admin_app.api.answers import handle
from admin_app.api.routes import application

__all__ = ["application", "handle"]
