"""Roles of a test's own."""

from admin_app.models import Role, RolePermission
from admin_app.testing import Make


async def role(make: Make, *permissions: str) -> str:
    """The name of a new role that allows just this."""
    made = await make.save(Role(name=f"role {next(make.numbers)}"))
    for permission in permissions:
        await make.save(RolePermission(role_id=made.id, permission=permission))
    return str(made.name)
