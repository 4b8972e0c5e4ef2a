"""The peer of the API: FastAPI as its documentation shows it, once with nothing on and once with the same checks.

``python fastapi_peer.py`` reads ``PEER_DATABASE_URL`` (async SQLAlchemy), ``PEER_KEY_FILE`` (a PEM public key),
``PEER_ISSUER`` and ``PEER_AUDIENCE``, listens on a free port of the loopback, and prints it.

- ``GET /hello`` answers a constant.
- ``GET /projects/{id}`` and ``GET /projects`` verify the same JWT, look up the same permission, count the same limit,
  set the same tenant for the transaction, and read the same rows of the same database into a Pydantic model.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import jwt
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, DateTime, String, Uuid, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

LIMIT = RateLimitItemPerMinute(1_000_000_000)
PERMISSIONS = {"admin_devstudio": {"spec:read"}, "viewer": {"spec:read"}}

engine = create_async_engine(os.environ["PEER_DATABASE_URL"], pool_size=10)
sessions = async_sessionmaker(engine, expire_on_commit=False)
key = Path(os.environ["PEER_KEY_FILE"]).read_text("utf-8")
limiter = SlidingWindowCounterRateLimiter(MemoryStorage())


class Base(DeclarativeBase):
    """Base of the tables."""


class Project(Base):
    """A project, with the columns that are answered."""

    __tablename__ = "ds_projects"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String)
    description: Mapped[str | None] = mapped_column(String)
    type: Mapped[str] = mapped_column(String)
    template: Mapped[str] = mapped_column(String)
    repo: Mapped[str | None] = mapped_column(String)
    provider: Mapped[str | None] = mapped_column(String)
    created_by: Mapped[UUID] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    status: Mapped[str] = mapped_column(String)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    default_branch: Mapped[str] = mapped_column(String)
    version: Mapped[int] = mapped_column()


class ProjectRead(BaseModel):
    """A project as it is answered."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)

    id: UUID
    tenant_id: UUID
    name: str
    description: str | None
    type: str
    template: str
    repo: str | None
    provider: str | None
    created_by: UUID
    created_at: datetime
    updated_at: datetime
    status: str
    metadata: dict[str, Any] = Field(validation_alias="metadata_")
    default_branch: str
    version: int


class ProjectPage(BaseModel):
    """One page of projects."""

    items: list[ProjectRead]
    next_cursor: str | None


async def person(authorization: Annotated[str, Header()]) -> dict[str, Any]:
    """Verify the token and the permission, and count the request."""
    try:
        claims: dict[str, Any] = jwt.decode(
            authorization.removeprefix("Bearer "),
            key,
            algorithms=["RS256"],
            audience=os.environ["PEER_AUDIENCE"],
            issuer=os.environ["PEER_ISSUER"],
            options={"require": ["exp", "iat", "sub", "tenant_id", "devstudio_roles"]},
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401) from error
    if not any("spec:read" in PERMISSIONS.get(role, ()) for role in claims["devstudio_roles"]):
        raise HTTPException(403)
    for name in (claims["tenant_id"], claims["sub"]):
        if not await limiter.hit(LIMIT, name):
            raise HTTPException(429)
    return claims


@asynccontextmanager
async def scoped(tenant_id: str) -> AsyncIterator[AsyncSession]:
    """Open a transaction of one tenant."""
    async with sessions() as session, session.begin():
        setting = text(
            "SELECT set_config('search_path', 'devstudio', true), set_config('devstudio.tenant_id', :t, true)"
        )
        await session.execute(setting, {"t": tenant_id})
        yield session


app = FastAPI()


@app.get("/hello")
async def hello() -> dict[str, str]:
    """Answer a constant."""
    return {"message": "hello"}


@app.get("/projects/{project_id}", response_model=ProjectRead)
async def get_project(project_id: UUID, claims: Annotated[dict[str, Any], Depends(person)]) -> Project:
    """Return one project."""
    async with scoped(claims["tenant_id"]) as session:
        query = select(Project).where(Project.id == project_id, Project.status != "deleted")
        found = (await session.scalars(query)).one_or_none()
    if found is None:
        raise HTTPException(404)
    return found


@app.get("/projects", response_model=ProjectPage)
async def list_projects(claims: Annotated[dict[str, Any], Depends(person)], limit: int = 50) -> dict[str, Any]:
    """Return the newest projects."""
    async with scoped(claims["tenant_id"]) as session:
        query = select(Project).where(Project.status != "deleted").order_by(Project.id.desc()).limit(limit + 1)
        rows = (await session.scalars(query)).all()
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return {"items": rows[:limit], "next_cursor": more}


if __name__ == "__main__":
    # Named as TCP, so that asyncio turns Nagle's algorithm off as it does for sockets of its own.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
