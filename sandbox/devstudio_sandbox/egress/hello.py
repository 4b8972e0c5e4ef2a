"""The name that a TLS client asks for, as OpenSSL reads it from the first bytes that the client sends."""

from __future__ import annotations

import ssl
import warnings

LONGEST_HELLO = 64 * 1024
HANDSHAKE = 0x16
"""The first byte of a TLS record that holds a handshake (RFC 8446, 5.1)."""


class NotTls(Exception):
    """The client does not speak TLS, or not so that it can be read."""


class Hello:
    """Takes the first bytes of a client until they hold the whole of its hello."""

    def __init__(self) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with warnings.catch_warnings():  # we only read: whether the version is good enough is the server's to say
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.sni_callback = self._asked
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._length = 0
        self._started = False
        self._name: str | None = None
        self._done = False

    def feed(self, data: bytes) -> bool:
        """Take the first bytes, of which there may be none yet, or more; True once the hello is complete.

        Raises `NotTls`, also when there are no more.
        """
        if self._started and not data:
            raise NotTls("the client went away before its TLS hello was complete")
        self._started = True
        if self._length == 0 and data and data[0] != HANDSHAKE:
            raise NotTls("the client does not speak TLS")
        self._length += len(data)
        if self._length > LONGEST_HELLO:
            raise NotTls("the client's TLS hello is too long")
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._done
        except (ssl.SSLError, ValueError) as problem:
            if self._done:
                return True
            raise NotTls("the client's TLS hello cannot be read") from problem
        return self._done

    @property
    def name(self) -> str | None:
        """The name that the client asks for, in lower case; None when it names none."""
        return self._name

    def _asked(self, _tls: object, name: str | None, _context: object) -> int:
        self._name, self._done = (name.lower() if name else None), True
        return int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
