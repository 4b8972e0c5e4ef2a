"""The command line: ``devstudio --help`` lists what it can do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NoReturn
from uuid import UUID

import typer
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError

from devstudio_server import cli_evidence, cli_images, cli_keys
from devstudio_server import serve as server
from devstudio_server._version import __version__
from devstudio_server.audit.service import RETENTION_DAYS
from devstudio_server.audit.service import prune as prune_audit
from devstudio_server.audit.verify import reports as audit_reports
from devstudio_server.auth import Role
from devstudio_server.auth.local_keys import local_key_pair
from devstudio_server.auth.tokens import mint_token
from devstudio_server.db.engine import create_engine
from devstudio_server.db.migrate import current_revision, migrate, newest_revision
from devstudio_server.db.roles import DEFAULT_ROLE, grant
from devstudio_server.doctor import Finding, examine, healthy
from devstudio_server.kit.clock import now
from devstudio_server.settings import DataFolder, default_data_dir
from devstudio_server.worker import work

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="RENUM DevStudio: serve it, and look after it.",
    rich_markup_mode=None,
)

audit_app = typer.Typer(no_args_is_help=True, help="Verify the audit, and remove what is older than its retention.")
app.add_typer(audit_app, name="audit")
app.add_typer(cli_evidence.app, name="evidence")
app.add_typer(cli_images.app, name="images")
app.add_typer(cli_keys.app, name="keys")

DatabaseUrl = Annotated[
    str,
    typer.Option(envvar="DEVSTUDIO_DATABASE_URL", help="The server's database. Default: SQLite in the data folder."),
]

_MARKS = {"ok": "ok  ", "note": "note", "fail": "FAIL"}


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def devstudio(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the settings from the same environment variables as the server."""
    del version  # `_show_version` took it


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(envvar="PORT", min=1, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Serve the studio. Options that this command does not know go to `jupyter lab`."""
    if port is not None:
        os.environ["PORT"] = str(port)
    sys.exit(server.main(*context.args))


app.command(name="worker")(work)


@app.command(name="migrate")
def migrate_command(
    database_url: DatabaseUrl = "",
    owner_url: Annotated[
        str, typer.Option(envvar="DEVSTUDIO_DATABASE_OWNER_URL", help="The same PostgreSQL database, for its owner.")
    ] = "",
) -> None:
    """Bring the database to this version's schema; on PostgreSQL also grant the server's role its rights."""
    folder = DataFolder(default_data_dir())
    engine = create_engine(owner_url or database_url or folder.database_url)
    try:
        if engine.dialect.name == "sqlite":
            folder.create()
        before = current_revision(engine)
        migrate(engine)
        if engine.dialect.name == "postgresql":
            grant(engine, (make_url(database_url).username if database_url else None) or DEFAULT_ROLE)
    except DBAPIError as error:
        hint = "" if owner_url else " On PostgreSQL, give the owner's URL: DEVSTUDIO_DATABASE_OWNER_URL."
        _fail(f"The database was not changed: {str(error.orig).strip()}.{hint}")
    finally:
        engine.dispose()
    after = newest_revision()
    typer.echo(f"The schema is {after} already." if before == after else f"Schema {before or 'empty'} -> {after}.")


@app.command()
def token(  # noqa: PLR0913 - one argument for each option
    tenant: Annotated[UUID | None, typer.Option(help="Id of the tenant.")] = None,
    user: Annotated[str, typer.Option(help="Who it is: the token's `sub`.")] = "ana",
    role: Annotated[
        list[Role] | None, typer.Option(help="A role; give it again for another. Default: executor.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8, help="How long the token is good for.")] = 1.0,
    issuer: Annotated[str, typer.Option(envvar="DEVSTUDIO_JWT_ISSUER", help="The token's `iss`.")] = "local",
    audience: Annotated[str, typer.Option(envvar="DEVSTUDIO_JWT_AUDIENCE", help="The token's `aud`.")] = "devstudio",
    secret: Annotated[
        str, typer.Option(envvar="DEVSTUDIO_JWT_SECRET", help="Sign with this secret (HS256) instead of the key pair.")
    ] = "",
    *,
    public_key: Annotated[
        bool,
        typer.Option("--public-key", help="Print the file of the public key, for DEVSTUDIO_JWT_KEY_FILE, and end."),
    ] = False,
) -> None:
    """Make a token to try team mode with, signed with a key pair that is kept in the data folder."""
    try:
        pem, public = local_key_pair(default_data_dir())
    except (OSError, ValueError) as error:
        _fail(f"The key pair in {default_data_dir()} cannot be used: {error}")
    if public_key:
        typer.echo(public)
        return
    if tenant is None:
        _fail("Name the tenant: --tenant 0190aaaa-0000-7000-8000-000000000001, or any other UUID.")
    roles, lifetime = role or [Role.EXECUTOR], timedelta(hours=hours)
    typer.echo(mint_token(secret or pem, tenant, user, roles, lifetime, issuer=issuer, audience=audience, name=user))


@app.command()
def doctor(
    *,
    online: Annotated[bool, typer.Option(help="Also ask the AI providers whether the keys work.")] = False,
) -> None:
    """Check database, Redis, sandbox, AI and storage, and say how to mend each. Ends with 1 when one is broken."""
    findings = examine(os.environ, DataFolder(default_data_dir()), online=online)
    for finding in findings:
        _show(finding)
    if not healthy(findings):
        raise typer.Exit(1)


@audit_app.command()
def verify(
    database_url: DatabaseUrl = "",
) -> None:
    """Find every audit entry that was changed, removed, added or moved. Ends with 1 when there is one."""
    whole = True
    with _database(database_url) as engine:
        for report in audit_reports(engine):
            head = f"{report.entries} entries, the newest is {report.newest_seq} {report.newest_hash}"
            typer.echo(f"tenant {report.tenant_id}: {'BROKEN' if report.findings else 'whole'}: {head}")
            for finding in report.findings:
                typer.echo(f"  entry {finding.seq}: {finding.fault}: {finding.detail}")
            whole = whole and not report.findings
    if not whole:
        raise typer.Exit(1)


@audit_app.command()
def prune(
    days: Annotated[int, typer.Option(min=1, help="Keep the entries of this many days.")] = RETENTION_DAYS,
    owner_url: Annotated[
        str, typer.Option(envvar="DEVSTUDIO_DATABASE_OWNER_URL", help="The PostgreSQL database, for its owner.")
    ] = "",
) -> None:
    """Remove entries that are older than the retention. What is left can still be verified."""
    with _database(owner_url or os.environ.get("DEVSTUDIO_DATABASE_URL", "")) as engine:
        removed = prune_audit(engine, now() - timedelta(days=days))
    for tenant_id, count in sorted(removed.items()):
        typer.echo(f"tenant {tenant_id}: {count} entries removed")
    typer.echo(f"{sum(removed.values())} entries of more than {days} days removed.")


@contextmanager
def _database(url: str) -> Iterator[Engine]:
    """Open a database that must be there and have this version's schema; say so and end when it is not."""
    target = create_engine(url or DataFolder(default_data_dir()).database_url)
    try:
        if target.dialect.name == "sqlite" and not Path(target.url.database or "").exists():
            _fail(f"There is no database at {target.url.render_as_string()}.")
        found, wanted = current_revision(target), newest_revision()
        if found != wanted:
            _fail(f"The database has the schema {found}; this version needs {wanted}. Run `devstudio migrate`.")
        yield target
    except DBAPIError as error:
        hint = (
            " On PostgreSQL, only the owner may do this: DEVSTUDIO_DATABASE_OWNER_URL."
            if "denied" in str(error)
            else ""
        )
        _fail(f"{str(error.orig).strip()}.{hint}")
    finally:
        target.dispose()


def _show(finding: Finding) -> None:
    typer.echo(f"{_MARKS[finding.state]}  {finding.part:9} {finding.said}")
    if finding.mend:
        typer.echo(f"                {finding.mend}")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command that the command line names."""
    app()


if __name__ == "__main__":
    main()
