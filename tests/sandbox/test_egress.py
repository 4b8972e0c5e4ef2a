"""The way out of a real container, and every other way out that hostile code may try."""

import json
import os
import signal
import socket
import subprocess
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sandbox_kit import Output, spec

from devstudio_sandbox import Backend, Command, Sandbox, SandboxUnavailable
from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.docker_host import read_engine
from devstudio_sandbox.egress.clients import proxy_environment
from devstudio_sandbox.egress.proxy import EgressProxy, Lease, ProxySettings
from devstudio_sandbox.egress.server import ProxyLimits
from devstudio_sandbox.process_backend import ProcessBackend
from support.registry import NAME, Registry

SAY = textwrap.dedent("""
    import socket, sys
    # Sends what came on standard input to the proxy, byte for byte, and prints the answer.
    with socket.create_connection(("127.0.0.1", 3128), 20) as proxy:
        proxy.sendall(bytes.fromhex(sys.argv[1]))
        if "half" in sys.argv:
            proxy.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := proxy.recv(65536):
            answer += piece
    sys.stdout.buffer.write(answer)
""")
FETCH = textwrap.dedent("""
    import sys, urllib.request
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
            print(answer.status, len(answer.read(int(sys.argv[2]) if len(sys.argv) > 2 else -1)))
    except OSError as problem:
        print(problem)
        sys.exit(1)
""")
FRONT = textwrap.dedent("""
    import socket, ssl, sys
    # Asks the proxy for one name and, inside, the server for another.
    with socket.create_connection(("127.0.0.1", 3128), 20) as raw:
        raw.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n".encode())
        assert b" 200 " in raw.recv(4096)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with context.wrap_socket(raw, server_hostname=sys.argv[2] or None) as tls:
                print("reached", tls.version())
        except OSError as problem:
            print("refused", type(problem).__name__)
""")


class PlainServer:
    """A plain HTTP server on the loopback that keeps every byte it was sent."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.seen: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                data = b""
                try:
                    while b"\r\n\r\n" not in data or (b"chunked" in data and not data.endswith(b"0\r\n\r\n")):
                        piece = connection.recv(65536)
                        if not piece:
                            break
                        data += piece
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-From: server\r\n\r\nok")
                except OSError:
                    pass
                self.seen.append(data)

    def close(self) -> None:
        self._listener.close()


@dataclass
class Door:
    """A sandbox, its proxy, and what the proxy told."""

    proxy: EgressProxy
    sandbox: Sandbox
    events: list[dict[str, Any]] = field(default_factory=list)

    def run(self, script: str, *args: str, deadline_s: float = 60) -> tuple[int, str]:
        """Run a script with the variables of a run that has a way out."""
        output = Output()
        env = proxy_environment(own_authorities=True, mirrors={})
        command = Command(("python3", "-c", script, *args), env=env, deadline_s=deadline_s)
        done = self.sandbox.run(command, output)
        return done.exit_code, (output.stdout + output.stderr).decode("utf-8", "replace")

    def say(self, data: bytes | str, *how: str) -> str:
        """Send raw bytes to the proxy from inside."""
        raw = data.encode() if isinstance(data, str) else data
        return self.run(SAY, raw.hex(), *how)[1]

    def told(self, kind: str, timeout_s: float = 10) -> list[dict[str, Any]]:
        """Return the events of a kind, once every request that was told of has ended."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            numbers = {name: {e["n"] for e in self.events if e["event"] == name} for name in ("request", "end")}
            turned_away = {e["n"] for e in self.events if "connections already" in e.get("reason", "")}
            if numbers["request"] <= numbers["end"] | turned_away:
                break
            threading.Event().wait(0.02)
        return [event for event in self.events if event["event"] == kind]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture(scope="module")
def plain_server() -> Iterator[PlainServer]:
    server = PlainServer()
    yield server
    server.close()


@pytest.fixture
def plain(plain_server: PlainServer) -> PlainServer:
    plain_server.seen.clear()
    return plain_server


def lease(*domains: str, **fields: Any) -> Lease:
    told = {"expires_in_s": 600.0, "up_limit": 1 << 20, "down_limit": 1 << 40} | fields
    return Lease(told.pop("id", "lease"), domains, **told)


@contextmanager
def opened(backend: Backend, settings: ProxySettings, *leases: Lease) -> Iterator[Door]:
    """Open a sandbox with a proxy."""
    events: list[dict[str, Any]] = []
    proxy = EgressProxy(settings, events.append)
    proxy.start(leases)
    try:
        with backend.open(replace(spec(ttl_s=600), egress=proxy.socket)) as sandbox:
            yield Door(proxy, sandbox, events)
    finally:
        proxy.close()


@pytest.fixture(scope="module")
def settings(registry: Registry) -> ProxySettings:
    return ProxySettings({NAME: ("127.0.0.1",)}, None, registry.authority.pem)


@pytest.fixture
def door(
    docker_backend: DockerBackend, settings: ProxySettings, registry: Registry, plain: PlainServer
) -> Iterator[Door]:
    """A container that may reach the registry and the plain server, both by a name that the operator pinned."""
    with opened(docker_backend, settings, lease(registry.domain, f"{NAME}:{plain.port}")) as made:
        yield made


@pytest.fixture(scope="module")
def held_door(
    docker_backend: DockerBackend, settings: ProxySettings, registry: Registry, plain_server: PlainServer
) -> Iterator[Door]:
    with opened(docker_backend, settings, lease(registry.domain, f"{NAME}:{plain_server.port}")) as made:
        yield made


@pytest.fixture
def same_door(held_door: Door) -> Door:
    """One container for the tests that only ask."""
    held_door.told("end")
    held_door.events.clear()
    return held_door


def test_what_a_lease_names_is_reached_and_nothing_else(
    same_door: Door, registry: Registry, plain: PlainServer
) -> None:
    assert same_door.run(FETCH, f"{registry.url}/simple/leased-greeting/")[0] == 0
    assert same_door.run(FETCH, f"http://{NAME}:{plain.port}/a?key=hidden") == (0, "200 2\n")
    for url in ("https://example.org/", f"https://sub.{registry.domain}/", f"https://{NAME}/", "http://example.org/"):
        code, said = same_door.run(FETCH, url)
        assert (code, "no lease in force allows" in said) == (1, True), said
    requests = same_door.told("request")
    assert [request["verdict"] for request in requests] == ["allowed"] * 2 + ["refused"] * 4
    assert requests[1]["path"] == "/a"
    assert "hidden" not in json.dumps(same_door.events)
    ends = same_door.told("end")
    assert min(ends[0]["up"], ends[0]["down"]) > 500
    assert b"GET /a?key=hidden HTTP/1.1\r\n" in plain.seen[0]


@pytest.mark.parametrize(
    "target",
    [
        "169.254.169.254:80",
        "127.0.0.1:{port}",
        "[::1]:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "[64:ff9b::7f00:1]:{port}",
        "10.0.0.1:443",
        "0.0.0.0:{port}",
        "1.1.1.1:443",
        "localhost:{port}",
        "2130706433:{port}",
        "0x7f.1:{port}",
        "127.1:{port}",
        "example.org:22",
        NAME + ":22",
        NAME + "@example.org:443",
        NAME + ".:{port}x",
        "{name}%2eexample.org:443",
        "*:443",
    ],
)
def test_no_spelling_of_an_address_gets_through(same_door: Door, plain: PlainServer, target: str) -> None:
    target = target.replace("{port}", str(plain.port)).replace("{name}", NAME)
    for request in (
        f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n",
        f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n",
    ):
        status = same_door.say(request).split(" ")[1]
        assert status in {"400", "403"}
    assert plain.seen == []
    assert all(event["verdict"] == "refused" for event in same_door.told("request"))


def test_nothing_but_the_proxy_leads_out(same_door: Door, plain: PlainServer) -> None:
    """The container has a loopback of its own, and no other interface, whatever the proxy would say."""
    script = f"""
import socket
for address in (("127.0.0.1", {plain.port}), ("169.254.169.254", 80), ("1.1.1.1", 53), ("172.17.0.1", {plain.port})):
    try:
        socket.create_connection(address, 3)
        print("reached", address)
    except OSError as problem:
        print(problem.errno)
print(sorted(name for _, name in socket.if_nameindex() if name != "lo"))
"""
    code, said = same_door.run(script)
    assert (code, "reached" in said) == (0, False), said
    assert said.splitlines()[-1] == "[]" or "eth" not in said


SMUGGLED = {
    "two lengths": "POST http://{to}/ HTTP/1.1\r\nHost: {to}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "length and coding": (
        "POST http://{to}/ HTTP/1.1\r\nHost: {to}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\nGET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    ),
    "coding in 1.0": "POST http://{to}/ HTTP/1.0\r\nHost: {to}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "odd coding": "POST http://{to}/ HTTP/1.1\r\nHost: {to}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space before colon": "GET http://{to}/ HTTP/1.1\r\nHost : {to}\r\n\r\n",
    "another host": "GET http://{to}/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "two hosts": "GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\nHost: evil.example\r\n\r\n",
    "user in the address": "GET http://{to}@evil.example/ HTTP/1.1\r\nHost: {to}\r\n\r\n",
    "origin form": "GET / HTTP/1.1\r\nHost: {to}\r\n\r\n",
    "another scheme": "GET ftp://{to}/ HTTP/1.1\r\nHost: {to}\r\n\r\n",
    "body of CONNECT": "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nContent-Length: 5\r\n\r\nabcde",
    "large header": "GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\nX: " + "a" * 40_000 + "\r\n\r\n",
    "nul": "GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\nX: a\0b\r\n\r\n",
    "no HTTP": "\x16\x03\x01 what is this\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_requests_that_can_be_read_in_two_ways_are_refused(same_door: Door, plain: PlainServer, name: str) -> None:
    answer = same_door.say(SMUGGLED[name].replace("{to}", f"{NAME}:{plain.port}"))
    assert answer.split(" ")[1] in {"400", "403", "431", "501"}, answer
    assert plain.seen == []


def test_a_second_request_in_the_same_bytes_is_never_read(same_door: Door, plain: PlainServer) -> None:
    to = f"{NAME}:{plain.port}"
    first = f"GET http://{to}/first HTTP/1.1\r\nHost: {to}\r\nX-Folded: a\r\n b\r\n\r\n"
    answer = same_door.say(first + f"GET http://{to}/second HTTP/1.1\r\nHost: {to}\r\n\r\n")
    assert answer.count("HTTP/1.1 200") == 1
    assert "Connection: close" in answer or "connection: close" in answer
    (seen,) = plain.seen
    assert seen.startswith(b"GET /first HTTP/1.1\r\n")
    assert b"second" not in seen
    assert b"\n b" not in seen


def test_a_chunked_body_is_carried_and_one_that_breaks_its_framing_is_not(same_door: Door, plain: PlainServer) -> None:
    to = f"{NAME}:{plain.port}"
    head = f"POST http://{to}/ HTTP/1.1\r\nHost: {to}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert "200 OK" in same_door.say(head + "3\r\nabc\r\n0\r\n\r\n")
    assert plain.seen[0].endswith(b"3\r\nabc\r\n0\r\n\r\n")
    assert "200 OK" not in same_door.say(head + "3\r\nabcGET http://evil.example/ HTTP/1.1\r\n\r\n")
    assert b"evil" not in b"".join(plain.seen)


@pytest.mark.parametrize("inside", ["evil.example", "", f"www.{NAME}"])
def test_the_name_inside_tls_is_the_name_that_was_allowed(same_door: Door, registry: Registry, inside: str) -> None:
    assert same_door.run(FRONT, registry.domain, NAME)[1].startswith("reached")
    assert same_door.run(FRONT, registry.domain, inside)[1].startswith("refused")
    assert "the client asks for" in same_door.told("end")[-1]["how"]
    assert same_door.told("end")[-1]["refused"]


def test_a_tunnel_is_for_tls_alone(same_door: Door, registry: Registry) -> None:
    answer = same_door.say(
        f"CONNECT {registry.domain} HTTP/1.1\r\nHost: {registry.domain}\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n"
    )
    assert answer.count("HTTP/1.1") == 1
    assert same_door.told("end")[-1]["how"] == "the client does not speak TLS"


def test_a_lease_ends_in_the_middle_of_a_download(door: Door, registry: Registry, plain: PlainServer) -> None:
    registry.cut.clear()
    registry.streaming.clear()
    with ThreadPoolExecutor(1) as pool:
        download = pool.submit(door.run, FETCH, f"{registry.url}/endless")
        assert registry.streaming.wait(20)
        door.proxy.renew([lease(registry.domain, expires_in_s=0.5)])
        assert registry.cut.wait(10)
        download.result(20)
    assert door.told("end")[-1]["how"] == "the lease has expired"
    code, said = door.run(FETCH, f"{registry.url}/simple/leased-greeting/")
    assert (code, "the lease has expired" in said) == (1, True)
    door.proxy.renew([])
    code, said = door.run(FETCH, f"{registry.url}/simple/leased-greeting/")
    assert (code, "no lease in force" in said) == (1, True)


def test_bytes_have_an_end(door: Door, registry: Registry) -> None:
    registry.cut.clear()
    limit = 1 << 20
    door.proxy.renew([lease(registry.domain, down_limit=limit)])
    door.run(FETCH, f"{registry.url}/endless")
    assert registry.cut.wait(10)
    end = door.told("end")[-1]
    assert end["how"] == "the lease's bytes to receive are used up"
    assert limit <= end["down"] <= limit + 128 * 1024
    code, said = door.run(FETCH, f"{registry.url}/simple/leased-greeting/")
    assert (code, "used up" in said) == (1, True)


def test_a_thousand_connections_harm_only_themselves(door: Door, registry: Registry) -> None:
    flood = """
import socket
held, answers = [], 0
for number in range(1000):
    try:
        one = socket.create_connection(("127.0.0.1", 3128), 10)
    except OSError:
        continue
    one.sendall(b"GET http://")
    held.append(one)
    if len(held) > 300:
        old = held.pop(0)
        old.settimeout(0.02)
        try:
            answers += b"503" in old.recv(100)
        except OSError:
            pass
        old.close()
print(answers)
"""
    code, said = door.run(flood)
    assert code == 0, said
    assert int(said) > 100
    assert door.proxy.alive
    assert door.run(FETCH, f"{registry.url}/simple/leased-greeting/")[0] == 0
    assert any("connections already" in event["reason"] for event in door.told("request"))
    resident = Path(f"/proc/{door.proxy.pid}/statm").read_text().split()[1]
    assert int(resident) * os.sysconf("SC_PAGE_SIZE") < 128 << 20


def test_who_says_nothing_or_too_slowly_is_cut(docker_backend: DockerBackend, settings: ProxySettings) -> None:
    slow = """
import socket
with socket.create_connection(("127.0.0.1", 3128), 30) as one:
    one.settimeout(0.2)
    answer = b""
    for _ in range(100):
        try:
            one.sendall(b"G")
            answer = one.recv(100)
            break
        except TimeoutError:
            continue
        except OSError:
            break
print(answer.decode())
"""
    with opened(docker_backend, replace(settings, limits=ProxyLimits(opening_s=1)), lease(NAME)) as door:
        assert "504 DevStudio egress: the client or the host took too long" in door.run(slow)[1]


def test_a_run_goes_on_when_its_proxy_is_killed(door: Door, registry: Registry) -> None:
    assert door.run(FETCH, f"{registry.url}/simple/leased-greeting/")[0] == 0
    assert door.proxy.pid
    os.kill(door.proxy.pid, signal.SIGKILL)
    code, said = door.run(FETCH, f"{registry.url}/simple/leased-greeting/")
    assert (code, "the proxy of this run is gone" in said) == (1, True), said
    assert door.run("print('alive')") == (0, "alive\n")
    assert door.events[-1] == {"event": "gone"}


def test_the_socket_is_out_of_reach_of_other_containers_and_of_other_people(
    door: Door, docker_backend: DockerBackend, settings: ProxySettings, registry: Registry
) -> None:
    look = "import os\nprint(sorted(os.listdir('/run/devstudio')))\nopen('/run/devstudio/x', 'w')"
    code, said = door.run(look)
    assert "['ca.pem', 'proxy.sock']" in said
    assert (code, "Read-only" in said) == (1, True)
    with opened(docker_backend, settings, lease("example.org", id="other")) as other:
        code, said = other.run(FETCH, f"{registry.url}/simple/leased-greeting/")
        assert (code, "no lease in force" in said) == (1, True)
    with docker_backend.open(spec()) as without:
        output = Output()
        without.run(Command(("python3", "-c", "import os; print(os.path.exists('/run/devstudio'))")), output)
        assert output.stdout == b"False\n"
        assert without.run(Command(("python3", "-c", SAY, "00")), output).exit_code == 1
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(door.proxy.socket)!r})"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", connect]
    done = subprocess.run(nobody, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert "PermissionError" in done.stderr


def test_a_command_that_kills_what_carries_its_bytes_harms_only_itself(door: Door, registry: Registry) -> None:
    kill = "import os\nfor pid in os.listdir('/proc'):\n    if pid.isdigit() and int(pid) not in (1, os.getpid()):\n"
    kill += "        os.kill(int(pid), 9)\n"
    door.run(kill)
    assert door.run(FETCH, f"{registry.url}/simple/leased-greeting/")[0] == 0, (
        "the next command has a carrier of its own"
    )


def test_a_plain_process_gets_no_proxy_that_would_not_hold_it(settings: ProxySettings) -> None:
    with pytest.raises(SandboxUnavailable, match="no proxy would hold it"), opened(ProcessBackend(), settings):
        pass


def test_bubblewrap_has_the_same_door(settings: ProxySettings, registry: Registry) -> None:
    from devstudio_sandbox.bubblewrap_backend import BubblewrapBackend  # noqa: PLC0415

    with opened(BubblewrapBackend(), settings, lease(registry.domain)) as door:
        assert door.run(FETCH, f"{registry.url}/simple/leased-greeting/")[0] == 0
        assert door.run(FETCH, "https://example.org/")[0] == 1


def test_gvisor_has_the_same_door(docker_backend: DockerBackend, settings: ProxySettings, registry: Registry) -> None:
    del docker_backend  # the images are there
    backend = DockerBackend(runtime="runsc")
    with opened(backend, settings, lease(registry.domain)) as door:
        assert door.sandbox.isolation == "gvisor"
        code, said = door.run(FETCH, f"{registry.url}/simple/leased-greeting/")
        assert (code, said[:3]) == (0, "200"), said
        code, said = door.run(FETCH, "https://example.org/")
        assert (code, "no lease in force" in said) == (1, True)
        assert door.run(FRONT, registry.domain, "evil.example")[1].startswith("refused")
    backend.close()


def test_gvisor_without_a_runtime_for_it_refuses_and_says_what_to_do() -> None:
    plain_gvisor = {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace"]}}
    engine = read_engine({"Runtimes": plain_gvisor}, "runsc")
    assert engine.runtime_with(None) == "runsc"
    with pytest.raises(SandboxUnavailable, match="--host-uds=open"):
        engine.runtime_with(Path("/proxy.sock"))
    offered = plain_gvisor | {"runsc-egress": {"runtimeArgs": ["--host-uds=open"]}}
    assert read_engine({"Runtimes": offered}).runtime_with(Path("/proxy.sock")) == "runsc-egress"
    assert read_engine({"Runtimes": offered}).runtime_with(None) == "runsc"
    assert read_engine({"Runtimes": {"runc": {}}}, "runc").runtime_with(Path("/proxy.sock")) == "runc"
