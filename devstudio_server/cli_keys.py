"""``devstudio keys``: the keys that sign patches, approvals and evidence. A running server needs no restart."""

from __future__ import annotations

import os
from typing import Annotated, NoReturn

import typer

from devstudio_server.kit.errors import AppError
from devstudio_server.settings import DataFolder, default_data_dir
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import KEY, REVOKED, GivenKeys, Keyring
from devstudio_server.signing.keys import SigningKey

app = typer.Typer(no_args_is_help=True, help="List, export, rotate and revoke the keys that sign.")


@app.command(name="list")
def list_keys() -> None:
    """Print the id, status and fingerprint of every key, the one that signs first. Makes none."""
    for key in _every():
        typer.echo(f"{key.id}  {key.status:8}  sha256:{key.fingerprint}")


@app.command()
def export(
    key_id: Annotated[str | None, typer.Argument(help="Only this key; default: all that are not revoked.")] = None,
) -> None:
    """Print public keys as PEM: for DEVSTUDIO_SIGNING_KEYS_RETIRED, and for who verifies without this server."""
    chosen = [key for key in _every() if (key_id is None and key.status != "revoked") or key.id == key_id]
    if not chosen:
        _fail(f"There is no key {key_id}." if key_id else "There is no key yet; the first signature makes one.")
    for key in chosen:
        typer.echo(key.pem(), nl=False)


@app.command()
def rotate() -> None:
    """Make a new key that signs from now on. What older ones signed stays good; their private halves are removed."""
    if os.environ.get(KEY, "").strip():
        _fail(
            f"The key comes from {KEY}, so the folder's is not used. Give another key there, and the public half of "
            "this one (`devstudio keys export`) in DEVSTUDIO_SIGNING_KEYS_RETIRED."
        )
    try:
        key = _folder().rotate()
    except AppError as error:
        _fail(error.detail)
    typer.echo(f"{key.id} signs from now on.")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The id that `devstudio keys list` shows.")]) -> None:
    """Take nothing any more that a key has signed, as when somebody else may have it. There is no way back."""
    try:
        key = _folder().revoke(key_id)
    except AppError as error:
        _fail(error.detail)
    if key is None:
        _fail(f"The folder has no key {key_id}. A key that was given in the environment is revoked by {REVOKED}.")
    typer.echo(f"{key.id} is revoked. Patches that it signed are approved again after an edit or a rebase.")


def _folder() -> KeyFolder:
    return KeyFolder(DataFolder(default_data_dir()).signing)


def _every() -> list[SigningKey]:
    try:
        return Keyring(_folder(), GivenKeys.from_environment(os.environ)).every()
    except AppError as error:
        _fail(error.detail)
    except ValueError as error:
        _fail(f"{error}.")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
