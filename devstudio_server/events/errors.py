"""What can go wrong with events."""

from __future__ import annotations

from devstudio_server.kit.errors import Gone, Invalid


class EventsGone(Gone):
    """Events after the one that the client has are no longer kept, so it cannot go on from there."""

    title = "These events are no longer kept"

    def __init__(self, after: int, oldest: int | None, newest: int) -> None:
        """Say what there is instead."""
        super().__init__(
            f"The events after {after} are no longer kept, or never were. Read the state that you show again, then go "
            f"on with after={newest}.",
            oldest=oldest,
            newest=newest,
        )


class LastEventIdInvalid(Invalid):
    """`Last-Event-ID` is no number of an event."""

    title = "Not the number of an event"

    def __init__(self) -> None:
        """Say what the header holds."""
        message = "Last-Event-ID holds the `id` of the last event that you have: a number."
        super().__init__(message, errors=[{"loc": ["header", "Last-Event-ID"], "msg": message}])
