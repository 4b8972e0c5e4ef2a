"""``devstudio evidence``: export a bundle, verify one, and write the verifier that needs nothing installed."""

from __future__ import annotations

import os
import sys
import zipapp
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn
from uuid import NAMESPACE_DNS, UUID, uuid5

import typer
from sqlalchemy.exc import DBAPIError

import devstudio_evidence
from devstudio_evidence.__main__ import run
from devstudio_server.assembly import Assembly, Settings
from devstudio_server.auth import local_actor
from devstudio_server.auth.errors import SettingsError
from devstudio_server.db import Actor
from devstudio_server.db.opening import DatabaseNotReadyError
from devstudio_server.db.roles import UnsafeRoleError
from devstudio_server.evidence.schemas import BundleQuery
from devstudio_server.evidence.service import Bundle, BundleService
from devstudio_server.kit.errors import AppError, NotFound
from devstudio_server.settings import DataFolder, default_data_dir

app = typer.Typer(
    no_args_is_help=True, help="Export evidence as a file that anyone can verify without a server, and verify one."
)

EXPORTER_ID: UUID = uuid5(NAMESPACE_DNS, "evidence.devstudio.renum")
"""Whom the audit names when somebody with the server's own rights exports on its machine."""


@app.command()
def export(
    subject: Annotated[UUID, typer.Argument(metavar="TASK_OR_SESSION", help="Id of a task or of a spec session.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; - is the standard output.")
    ] = None,
    tenant: Annotated[UUID | None, typer.Option(help="Id of the tenant, in a team.")] = None,
) -> None:
    """Write the bundle of a task or a session. To be called on the server's machine, with its environment."""
    made = _exported(subject, tenant)
    if output is not None and str(output) == "-":
        sys.stdout.buffer.write(made.content)
        return
    target = output or Path(made.name)
    try:
        target.write_bytes(made.content)
    except OSError as error:
        _fail(f"{target}: {error.strerror}")
    typer.echo(f"{target}: {len(made.content)} bytes. Verify it with `devstudio evidence verify {target} --key KEYS`.")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The bundle.")],
    key: Annotated[
        list[Path] | None, typer.Option("--key", help="File with the public keys that you trust; may be given again.")
    ] = None,
    *,
    any_key: Annotated[bool, typer.Option("--any-key", help="End with 0 although no key was given.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify a bundle. Ends with 0 when it holds, 1 when not, 2 for a wrong call, 3 when no key was given."""
    raise typer.Exit(run(file, key or [], any_key=any_key, as_json=as_json))


@app.command()
def verifier(output: Annotated[Path, typer.Argument(help="File to write, such as devstudio-evidence.pyz.")]) -> None:
    """Write the verifier as one file, which runs with any Python from 3.9 on and nothing installed."""
    try:
        write_verifier(output)
    except OSError as error:
        _fail(f"{output}: {error.strerror}")
    typer.echo(f"{output}: run it with `python {output} verify FILE --key KEYS`.")


def write_verifier(output: Path) -> None:
    """Write the package `devstudio_evidence` as a zipapp; the same version gives the same bytes."""
    source = Path(devstudio_evidence.__file__).parent
    with TemporaryDirectory(prefix="devstudio-verifier-") as folder:
        package = Path(folder) / source.name
        package.mkdir()
        for module in sorted(source.glob("*.py")):
            (package / module.name).write_bytes(module.read_bytes())
        main = "import sys\n\nfrom devstudio_evidence.__main__ import main\n\nsys.exit(main())\n"
        (Path(folder) / "__main__.py").write_text(main, encoding="ascii")
        for path in (*package.iterdir(), Path(folder) / "__main__.py", package):
            os.utime(path, (1_577_836_800, 1_577_836_800))  # a zip has the times of its files
        zipapp.create_archive(folder, output, interpreter="/usr/bin/env python3", compressed=True)


def _exported(subject: UUID, tenant: UUID | None) -> Bundle:
    folder = DataFolder(default_data_dir())
    try:
        assembly = Assembly(Settings(data_dir=folder.root, database_url=folder.database_url, team=tenant is not None))
    except (SettingsError, DatabaseNotReadyError, UnsafeRoleError, DBAPIError, OSError) as error:
        _fail(f"The server's data cannot be opened: {error}")
    try:
        actor = local_actor() if tenant is None else Actor(tenant_id=tenant, user_id=EXPORTER_ID, name="command line")
        service = BundleService(assembly.units, actor, assembly.ports)
        try:
            return service.export(BundleQuery(task_id=subject))
        except NotFound:
            return service.export(BundleQuery(session_id=subject))
    except NotFound:
        _fail(f"There is no task and no session {subject}. In a team, name the tenant: --tenant.")
    except AppError as error:
        _fail(error.detail)
    finally:
        assembly.close()


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
