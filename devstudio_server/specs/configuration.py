"""What the operator says about the files of sessions, as traits."""

from __future__ import annotations

import os
from typing import Literal

from traitlets import Enum, default
from traitlets.config import Configurable

Watch = Literal["auto", "polling", "off"]


class SyncConfiguration(Configurable):
    """How the server notices what other programs do to the Markdown files and notebooks of sessions."""

    watch = Enum(
        ("auto", "polling", "off"),
        help="`auto` has the system tell, and looks every 2 s where it does not; `polling` always looks, as for disks "
        "of a network; `off` leaves it to *Sync now*. Default: $DEVSTUDIO_WATCH, else `auto`.",
    ).tag(config=True)

    @default("watch")
    def _default_watch(self) -> str:
        return os.environ.get("DEVSTUDIO_WATCH", "").strip() or "auto"
