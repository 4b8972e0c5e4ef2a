"""The command line: ``devstudio --help`` lists what it can do."""

from __future__ import annotations

import sys

import typer

from devstudio_server import serve as server

app = typer.Typer(no_args_is_help=True, add_completion=False, help="RENUM DevStudio: serve it and look after it.")


@app.callback()
def devstudio() -> None:
    """Serve the studio, migrate its database, verify its audit, and find out what is wrong."""


@app.command()
def serve() -> None:
    """Serve the studio on $PORT (default 8000)."""
    sys.exit(server.main())


def main() -> None:
    """Run the command that the command line names."""
    app()
