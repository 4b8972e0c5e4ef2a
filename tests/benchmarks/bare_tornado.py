"""The peer of the list call: the same query by raw SQL in a bare Tornado handler, no ORM, no auth, no validation.

``python bare_tornado.py <database> <tenant id>`` listens on a free port of the loopback and prints it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

QUERY = "SELECT * FROM ds_spec_sessions WHERE deleted = 0 AND tenant_id = ? {after} ORDER BY id DESC LIMIT ?"
FIRST = QUERY.format(after="")
NEXT = QUERY.format(after="AND id < ?")


class ListHandler(RequestHandler):
    """One page; the cursor is the bare id of the last row. Values go out as SQLite has them."""

    def initialize(self, connection: sqlite3.Connection, tenant: str) -> None:
        """Take the one connection."""
        self.connection = connection
        self.tenant = tenant

    def get(self) -> None:
        """Return a page."""
        limit = int(self.get_query_argument("limit"))
        cursor = self.get_query_argument("cursor", None)
        arguments = (self.tenant, limit + 1) if cursor is None else (self.tenant, cursor, limit + 1)
        rows = [dict(row) for row in self.connection.execute(FIRST if cursor is None else NEXT, arguments)]
        more = len(rows) > limit
        page = rows[:limit]
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"items": page, "next_cursor": page[-1]["id"] if more else None}))

    def compute_etag(self) -> None:
        """Hash nothing; ours does not either."""


async def main(database: str, tenant: str) -> None:
    """Serve until killed."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    arguments = {"connection": connection, "tenant": tenant}
    (listener,) = bind_sockets(0, "127.0.0.1")
    HTTPServer(Application([("/list", ListHandler, arguments)])).add_sockets([listener])
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
