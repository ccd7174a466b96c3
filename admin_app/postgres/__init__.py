"""The local server: finds or starts PostgreSQL for a machine that has none (Linux and macOS).

    <data folder>/postgres/   ours alone; root keeps it 0711, so that the server's user can pass through it
        data/                 the cluster; belongs to whom the server runs as, which is never root
        socket/               0700, the only way in; a folder in /tmp takes its place where its path is too long
        passwords             0600, the owner's and the application's, as libpq reads them (PGPASSFILE)
        programs              the folder with the programs that last started the server
        log  lock             the server's log; held while a cluster is made, started or stopped
        location              alone here, and says where the others are, when the server's user cannot come here

A process number is never trusted: the server is up when it answers on our socket, and a process belongs to it when it
is alive, is named postgres and works in our data folder.
"""

from admin_app.postgres.programs import client_environment, find_client
from admin_app.postgres.server import LocalServer, find, find_or_start, urls

__all__ = ["LocalServer", "client_environment", "find", "find_client", "find_or_start", "urls"]
