"""The `backdesk` command. Each group of commands is imported only when it is used, so that help comes at once."""

import importlib
import sys
from typing import Any

import click

from admin_app.errors import BackdeskError

COMMANDS = {
    "check": (
        "admin_app.cli_plugins:check",
        "Check settings, plugins and database; lists every problem and its remedy.",
    ),
    "db": ("admin_app.cli_db:db", "The database: start, stop, status, upgrade, dump, restore, psql."),
    "demo": ("admin_app.cli_demo:demo", "Serve a made-up desk with 2,000 tickets, to look around in."),
    "do": ("admin_app.cli_do:do", 'Do an action of a plugin: backdesk do assign.assign --where "tag=vpn" --agent ana'),
    "export": ("admin_app.cli_export:export", "Write a list to a file: CSV, Excel or JSON Lines, of any size."),
    "import": ("admin_app.cli_import:import_command", "Import users, tickets or comments from CSV or JSONL."),
    "jobs": ("admin_app.cli_jobs:jobs", "Long work: list it, look at it, cancel it, try again what failed."),
    "outbox": ("admin_app.cli_outbox:outbox", "Messages to the staff: those that wait; send them."),
    "plugin": ("admin_app.cli_plugins:plugin", "The plugins: which are loaded, which are available."),
    "recipe": ("admin_app.cli_recipes:recipe", "An action and a filter under a name, run again on what matches then."),
    "serve": ("admin_app.cli_serve:serve", "Serve the desk."),
    "undo": ("admin_app.cli_undo:undo", "Take back a change set, or everything that was done under a reference."),
    "user": ("admin_app.cli_user:user", "People: create, new password, deactivate, tokens for scripts."),
    "worker": ("admin_app.cli_jobs:worker", "Work on jobs, beside the server or elsewhere."),
}


class Commands(click.Group):
    """Commands by name, each with the module that has it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101  the table above names commands
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what Backdesk refuses becomes a sentence and exit code 1, never a traceback."""
        try:
            return super().invoke(ctx)
        except BackdeskError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="backdesk", prog_name="backdesk")
def main() -> None:
    """The back office of a support team, in which every change is a change set."""


if __name__ == "__main__":
    sys.exit(main())
