"""The parts of the egress proxy: what a rule covers, which addresses are nobody's, one look-up, an upstream proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from devstudio_sandbox.egress.addresses import read_network, why_not
from devstudio_sandbox.egress.dial import Dialer, Refused, Upstream
from devstudio_sandbox.egress.grants import Grants
from devstudio_sandbox.egress.hello import Hello, NotTls
from devstudio_sandbox.egress.rules import BadHost, read_rule

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    ("rule", "host", "port", "covered"),
    [
        ("example.org", "example.org", 443, True),
        ("EXAMPLE.org.", "example.org", 80, True),
        ("example.org", "www.example.org", 443, False),
        ("example.org", "example.org", 8443, False),
        ("example.org", "badexample.org", 443, False),
        (".example.org", "www.example.org", 443, True),
        (".example.org", "a.b.example.org", 443, True),
        (".example.org", "example.org", 443, False),
        (".example.org", "badexample.org", 443, False),
        ("example.org:8443", "example.org", 8443, True),
        ("example.org:8443", "example.org", 443, False),
        ("192.0.2.7", "192.0.2.7", 443, True),
        ("[2001:DB8::1]:8443", "2001:db8::1", 8443, True),
    ],
)
def test_a_rule_covers_what_it_says(rule: str, host: str, port: int, *, covered: bool) -> None:
    assert read_rule(rule).covers(host, port) is covered
    assert read_rule(str(read_rule(rule))) == read_rule(rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "*",
        "*.example.org",
        ".org",
        "http://example.org",
        "example.org/",
        "exa mple.org",
        "example.org:",
        "a..b",
        "example.org:65536",
        "example.org:-1",
        "127.1",
        "2130706433",
        "0x7f000001",
        ".10.0.0.1",
        "\u0430.org",
        "fe80::1%eth0",
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(BadHost):
        read_rule(text)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "::93.184.216.34",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_nobodys_to_reach(address: str) -> None:
    assert why_not(ip_address(address)) is not None


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_are_not(address: str) -> None:
    assert why_not(ip_address(address)) is None


class Answers:
    """A resolver that gives one answer after the other, as a name does that is made to rebind."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0)


def test_a_name_that_rebinds_is_looked_up_once_and_reached_where_it_was_checked() -> None:
    async def scenario() -> None:
        taken = asyncio.Event()
        server = await asyncio.start_server(lambda _reader, writer: (taken.set(), writer.close()), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        # What is checked is allowed for this name alone; a second look-up would lead to the metadata address.
        answers = Answers(["127.0.0.1"], ["169.254.169.254"])
        internal = {"mirror.test": (read_network("127.0.0.0/8"),)}
        dialer = Dialer(internal, resolve=answers)
        reader, writer = await dialer.tunnel("mirror.test", port)
        assert await reader.read() == b""
        assert taken.is_set()
        writer.close()
        assert answers.asked == 1
        with pytest.raises(Refused, match=r"169\.254\.169\.254, a link-local address"):
            await dialer.tunnel("mirror.test", port)
        with pytest.raises(Refused, match="a loopback address"):
            await Dialer(internal, resolve=Answers(["127.0.0.1"])).tunnel("other.test", port)
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"], []])
def test_a_name_of_which_one_address_is_forbidden_is_not_reached(answer: list[str]) -> None:
    with pytest.raises(Refused):
        asyncio.run(Dialer(resolve=Answers(answer)).tunnel("example.org", 443))


def test_pinned_addresses_ask_no_resolver() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        answers = Answers()
        dialer = Dialer({"mirror.test": (read_network("127.0.0.1"),)}, Upstream.read("http://127.0.0.1:1"), answers)
        reader, writer = await dialer.tunnel("mirror.test", server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        assert answers.asked == 0
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


@pytest.mark.parametrize(("status", "works"), [("200 OK", True), ("407 Proxy Authentication Required", False)])
def test_the_proxy_of_the_house_is_asked_for_the_name(status: str, *, works: bool) -> None:
    async def scenario() -> None:
        asked: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 {status}\r\n\r\nhello".encode())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        upstream = Upstream.read(f"http://ana:p%40ss@127.0.0.1:{server.sockets[0].getsockname()[1]}")
        dialer = Dialer(upstream=upstream, resolve=Answers())
        if works:
            reader, writer = await dialer.tunnel("example.org", 443)
            assert await reader.read() == b"hello"
            writer.close()
        else:
            with pytest.raises(Refused, match="407"):
                await dialer.tunnel("example.org", 443)
        assert asked[0].startswith(b"CONNECT example.org:443 HTTP/1.1\r\n")
        assert b"Basic YW5hOnBAc3M=" in asked[0]
        with pytest.raises(Refused, match="a link-local address"):
            await dialer.tunnel("169.254.169.254", 80)
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_grants_end_by_time_by_bytes_and_by_revocation() -> None:
    at = [100.0]
    grants = Grants(lambda: at[0])
    told = {"id": "a", "domains": ["example.org"], "expires_in_s": 10, "up_limit": 5, "down_limit": 100}
    grants.replace([told])
    assert grants.find("example.org", 443)[0] is not None
    grants.count("a", 5, 0)
    assert grants.why_cut("a") == "the lease's bytes to send are used up"
    grants.replace([told | {"up_limit": 50}])
    assert grants.why_cut("a") is None
    grants.count("a", 45, 0)
    assert grants.find("example.org", 443)[0] is None
    grants.replace([told | {"up_limit": 500}])
    at[0] += 10
    assert grants.find("example.org", 443) == (None, "the lease has expired")
    grants.replace([])
    assert grants.why_cut("a") == "the lease was revoked"


def test_a_hello_is_read_in_any_pieces_and_nothing_else_is_one() -> None:
    import ssl  # noqa: PLC0415

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="Example.org")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    data = outgoing.read()
    hello = Hello()
    assert [hello.feed(data[at : at + 1]) for at in range(len(data))] == [False] * (len(data) - 1) + [True]
    assert hello.name == "example.org"
    for bad in (
        b"SSH-2.0",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
        b"\x16\x03\x01\x00\x05hello",
    ):
        with pytest.raises(NotTls):
            Hello().feed(bad)
