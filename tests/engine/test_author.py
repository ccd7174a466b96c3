"""A plugin with a table of its own and an action of five lines: all that the engine promises holds for it too."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from sqlalchemy import URL

from tests.engine.machine import ROOT

CHECKS = Path(__file__).with_name("checks_of_books.py")
PLUGIN = Path(__file__).with_name("library")


async def test_a_plugins_own_table_gets_previews_jobs_outcomes_retries_and_undo_by_itself(
    server_url: URL, tmp_path: Path
) -> None:
    folder = tmp_path / "plugins"
    await asyncio.to_thread(shutil.copytree, PLUGIN, folder / "library")
    environment = {
        **os.environ,
        "BACKDESK_TEST_DATABASE_URL": server_url.set(drivername="postgresql").render_as_string(hide_password=False),
        "BACKDESK_PLUGIN_DIR": str(folder),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CHECKS),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "2 passed" in said.decode()
