"""What the adapters of outside models have in common: a reply that comes piece by piece and may break anywhere."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any, ClassVar, Generic, Protocol

from httpx2 import RequestError, StreamError, TimeoutException

from devstudio_server.ai.cassette import Cassette, HttpOptions
from devstudio_server.ai.endpoints import Endpoint
from devstudio_server.ai.errors import (
    ProviderError,
    TemperatureRefused,
    error_for_connection,
    error_for_incomplete,
    error_for_malformed,
    error_for_timeout,
)
from devstudio_server.ai.ports import Delta, Listener, ModelReply, ModelRequest, Stop
from devstudio_server.ai.settings import GatewaySettings
from devstudio_server.ai.wires import C, Hold, Hooks, Wires

# A token is seldom more than a word; a server that sends this much more than was allowed would never end.
_CHARACTERS_PER_TOKEN = 64
_SPARE_CHARACTERS = 200_000
# What comes up through an SDK when a connection breaks, and when an event has not the shape that its type says.
_BROKEN = (RequestError, StreamError, OSError, ValueError, AttributeError, TypeError, LookupError, RecursionError)


class Gathered(Protocol):
    """A reply as far as it has come."""

    complete: bool

    def add(self, event: Any) -> Iterator[Delta]:
        """Add an event of the provider; yield what is new for a listener."""
        ...

    def begun(self) -> bool:
        """Tell whether anything has come that belongs to a reply."""
        ...

    def size(self) -> int:
        """Return how many characters have come."""
        ...

    def reply(self, stop: Stop | None = None) -> ModelReply:
        """Return what has come; ``stop`` says why no more does."""
        ...


class StreamedAdapter(Generic[C]):
    """One provider through its SDK. What is special about it is in the subclass."""

    sdk_error: ClassVar[type[Exception]]
    """What the SDK itself raises."""

    def __init__(self, endpoint: Endpoint, settings: GatewaySettings) -> None:
        """Open no connection yet."""
        self.endpoint = endpoint
        self.settings = settings
        self._wires: Wires[C] = Wires(self.open_client)
        self._without_temperature: set[str] = set()
        cassette = settings.cassette
        self._cassette = Cassette(cassette, endpoint.name, endpoint.api_key) if cassette else None

    def open_client(self, hooks: Hooks) -> C:
        """Open a client of the SDK that repeats nothing by itself, with these hooks for its HTTP library."""
        raise NotImplementedError

    def http(self, hooks: Hooks) -> HttpOptions:
        """Return what the HTTP client gets besides: the hooks, and the cassette where there is one."""
        return self._cassette.options(hooks) if self._cassette else {"event_hooks": hooks}

    def open_stream(self, client: C, request: ModelRequest) -> AbstractContextManager[Iterator[Any]]:
        """Send the request; return the events of its reply."""
        raise NotImplementedError

    def gather(self) -> Gathered:
        """Return an empty reply."""
        raise NotImplementedError

    def explain(self, error: Exception, request: ModelRequest) -> ProviderError:
        """Return what an exception means."""
        raise NotImplementedError

    def reply(self, request: ModelRequest, listener: Listener) -> ModelReply:
        """Call the model once; raises a `ProviderError`.

        A model that takes no temperature, as newer ones do, is asked at once without, and from then on.
        """
        if request.model in self._without_temperature:
            request = replace(request, temperature=None)
        try:
            return self._reply(request, listener)
        except TemperatureRefused:
            if request.temperature is None:
                raise
            self._without_temperature.add(request.model)
            return self._reply(replace(request, temperature=None), listener)

    def _reply(self, request: ModelRequest, listener: Listener) -> ModelReply:
        gathered = self.gather()
        try:
            with (
                self._wires.hold(listener.stop, self.settings.timeout_s) as hold,
                closing(self._deltas(hold, request, gathered)) as deltas,
            ):
                for delta in deltas:
                    listener.delta(delta)
                    if listener.stop.is_set():
                        break
            return gathered.reply("stopped" if listener.stop.is_set() and not gathered.complete else None)
        except ProviderError as error:
            if gathered.complete:
                return gathered.reply()
            if listener.stop.is_set():
                return gathered.reply("stopped")
            if gathered.begun():
                error.partial = gathered.reply("stopped")
            raise

    def close(self) -> None:
        """Close the connections."""
        self._wires.close()

    def _deltas(self, hold: Hold[C], request: ModelRequest, gathered: Gathered) -> Generator[Delta]:
        """Yield the pieces of the reply; every failure of the provider becomes a `ProviderError`."""
        most = _SPARE_CHARACTERS + _CHARACTERS_PER_TOKEN * request.max_tokens
        try:
            with self.open_stream(hold.client, request) as events:
                for event in events:
                    yield from gathered.add(event)
                    if gathered.size() > most:
                        raise error_for_malformed(self.endpoint)
        except ProviderError:
            raise
        except (self.sdk_error, *_BROKEN) as error:
            raise self._explained(error, hold, request) from None  # the SDK's error carries the provider's raw body
        if not gathered.complete:
            raise error_for_incomplete(self.endpoint) if gathered.begun() else error_for_malformed(self.endpoint)

    def _explained(self, error: Exception, hold: Hold[C], request: ModelRequest) -> ProviderError:
        if isinstance(error.__cause__, ProviderError):  # our own, from beneath the SDK
            return error.__cause__
        if hold.expired or isinstance(error, TimeoutException):
            return error_for_timeout(self.endpoint, self.settings.timeout_s)
        if isinstance(error, RequestError):
            return error_for_connection(self.endpoint, error)
        return self.explain(error, request)
