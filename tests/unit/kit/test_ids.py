"""Ids that sort by time, and ids for blocks of text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from devstudio_server.kit.clock import as_utc, now
from devstudio_server.kit.ids import new_block_id, new_id


def test_ids_are_uuid_7_unique_and_sorted_by_creation() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert ids == sorted(ids)
    assert {value.version for value in ids} == {7}
    made = datetime.fromtimestamp((ids[0].int >> 80) / 1000, UTC)
    assert abs(made - now()) < timedelta(minutes=1)


def test_block_ids_are_short_unlike_and_no_words() -> None:
    ids = {new_block_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(re.fullmatch(r"[2-9b-df-hj-np-tv-xz]{10}", value) for value in ids)


def test_times_are_utc() -> None:
    naive = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - as SQLite gives it
    assert as_utc(naive) == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert as_utc(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=3)))).hour == 9
    assert now().tzinfo is UTC
