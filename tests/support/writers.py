"""People who write all the time, and remember what the server acknowledged: for tests that kill it meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from support.studio import Answer, Api

WRITERS = 10
RATE = 50.0
"""Writes a second of all writers together."""
PATIENCE_S = 60.0


@dataclass
class Ledger:
    """What was sent and what was acknowledged. Each title has a key, under which it may be sent again."""

    sessions: dict[str, str] = field(default_factory=dict)
    """Id by title, of acknowledged sessions."""
    open: dict[str, str] = field(default_factory=dict)
    """Idempotency key by title, of sessions that nobody knows the end of."""
    values: dict[str, int] = field(default_factory=dict)
    """Newest acknowledged value by key of the key-value store."""
    tried: dict[str, int] = field(default_factory=dict)
    """Newest value that was sent, which may have been stored although its acknowledgement was lost."""
    refusals: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Answers that were no success, by status and detail."""
    acknowledged: int = 0
    busy_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def await_writes(self, more: int) -> None:
        """Wait until ``more`` writes than now are acknowledged."""
        wanted, deadline = self.acknowledged + more, time.monotonic() + PATIENCE_S
        while self.acknowledged < wanted:
            assert time.monotonic() < deadline, f"{self.acknowledged} of {wanted} writes; {self.refusals}; {self.wrong}"
            time.sleep(0.005)

    def created(self, title: str, answer: Answer) -> None:
        """Note the answer to a session that was sent."""
        with self._lock:
            if answer.status != 201:
                self.refusals[answer.status, str(answer.body.get("detail"))] += 1
                return
            self.acknowledged += 1
            self.open.pop(title, None)
            if self.sessions.setdefault(title, answer.body["id"]) != answer.body["id"]:
                self.wrong.append(f"{title} was made twice")

    def stored(self, key: str, value: int, answer: Answer) -> None:
        """Note the answer to a value that was sent."""
        with self._lock:
            if answer.status not in {200, 201}:
                self.refusals[answer.status, str(answer.body.get("detail"))] += 1
                return
            self.acknowledged += 1
            self.values[key] = value


class Writers:
    """Writers on one project. Each write is a new session, or the next value of a counter of the writer."""

    def __init__(self, api: Api, ledger: Ledger, project_id: str) -> None:
        self._api = api
        self._ledger = ledger
        self._project_id = project_id

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Write in the background for as long as the block takes."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._write, args=(number, stop)) for number in range(WRITERS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
            self._ledger.busy_s += time.perf_counter() - begun
        assert not any(thread.is_alive() for thread in threads)

    def _write(self, number: int, stop: threading.Event) -> None:
        due = time.perf_counter() + random.uniform(0, WRITERS / RATE)
        with Api(self._api.url, self._api.token, self._api.scheme) as api:
            while not stop.wait(max(0.0, due - time.perf_counter())):
                due = max(due + WRITERS / RATE, time.perf_counter() - 1)
                try:
                    self._write_once(api, number)
                except httpx.TransportError:
                    stop.wait(0.05)  # the server is gone; nobody knows what became of the write
                except Exception as error:  # noqa: BLE001 - shown by the test
                    self._ledger.wrong.append(repr(error))
                    return

    def _write_once(self, api: Api, number: int) -> None:
        if random.random() < 0.5:
            self.create(api, f"session {uuid4()}", str(uuid4()))
            return
        key = f"counter-{number}"
        value = self._ledger.tried[key] = self._ledger.tried.get(key, 0) + 1
        answer = api.put(f"kv/global/{key}", {"value_json": {"n": value, "pad": "x" * 200}})
        self._ledger.stored(key, value, answer)

    def create(self, api: Api, title: str, key: str) -> None:
        """Send a session, with its key."""
        self._ledger.open[title] = key
        body = {"project_id": self._project_id, "title": title, "description": title[::-1]}
        answer = api.send("POST", "spec-sessions", json=body, headers={"Idempotency-Key": key})
        self._ledger.created(title, answer)

    def send_again(self) -> None:
        """Send every session again that nobody knows the end of, under its old key; it must be there once after it."""
        for title, key in list(self._ledger.open.items()):
            self.create(self._api, title, key)
        assert self._ledger.open == {}, self._ledger.refusals
