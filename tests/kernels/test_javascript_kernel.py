"""The JavaScript kernel in its container, through the server."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from devstudio_server.auth.identity import LOCAL_TENANT_ID
from support.kernel_client import Channels, KernelClient, Ran, until
from support.studio import Studio

JAVASCRIPT = "devstudio-javascript"
BURST = 5_000_000


@pytest.fixture(scope="module")
def project(studio: Studio) -> Path:
    """The folder of the notebook that the tests share."""
    folder = studio.data_dir / "workspaces" / str(LOCAL_TENANT_ID) / "web"
    (folder / "node_modules" / "left").mkdir(parents=True)
    (folder / "node_modules" / "left" / "package.json").write_text('{"name": "left", "main": "main.js"}')
    (folder / "node_modules" / "left" / "main.js").write_text("exports.pad = (text) => '-' + text;")
    (folder / "own.js").write_text("exports.answer = 42;")
    (folder / "own.mjs").write_text("export default 'esm'; export const answer = 43;")
    return folder


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[KernelClient]:
    made = KernelClient(studio.url, f"token {studio.api.token}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def kernel(client: KernelClient, project: Path) -> str:
    assert project.is_dir()
    return client.kernel("web/shared.ipynb", JAVASCRIPT)


@pytest.fixture
def channels(client: KernelClient, kernel: str) -> Iterator[Channels]:
    with client.channels(kernel) as opened:
        yield opened


def shown(ran: Ran) -> list[str]:
    assert ran.error is None, ran.error
    return [one["text/plain"] for one in ran.results]


def asked(channels: Channels, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return the content of its reply."""
    message_id = channels.send(kind, content)
    return next(
        dict(message["content"])
        for message in channels.messages()
        if message["parent_header"].get("msg_id") == message_id and message["msg_type"].endswith("_reply")
    )


def interrupted(client: KernelClient, kernel: str, channels: Channels, code: str) -> Ran:
    """Run a cell that says something, and interrupt it then."""
    sent: list[float] = []

    def interrupt(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and not sent:
            sent.append(time.monotonic())
            threading.Timer(0.3, client.post, args=(f"/api/kernels/{kernel}/interrupt",)).start()

    ran = channels.follow(channels.execute(code), on_message=interrupt)
    assert ran.error is not None
    assert ran.error["ename"] == "Interrupted", ran.error
    return ran


def test_a_result_is_shown_and_nothing_is_not(channels: Channels) -> None:
    assert shown(channels.run("({ a: [1, 'two'], f() {} })")) == ["{ a: [ 1, 'two' ], f: [Function: f] }"]
    assert shown(channels.run("'text'")) == ["'text'"]
    assert shown(channels.run("10n ** 20n")) == ["100000000000000000000n"]
    assert shown(channels.run("null")) == ["null"]
    assert shown(channels.run("undefined")) == []
    assert shown(channels.run("const quiet = 1")) == []


def test_what_a_cell_declares_is_there_for_the_next_and_can_be_declared_again(channels: Channels) -> None:
    code = "let count = 1; const fixed = [1]; class Thing { n = 1 }; function twice(n) { return 2 * n }; var old = 3"
    for _ in range(2):
        assert channels.run(code).error is None
    assert channels.run("const fixed = [2]; class Thing { n = 5 }; count += 1").error is None
    wanted = "[ 2, [ 2 ], 5, 8, 3 ]"
    assert shown(channels.run("[count, fixed, new Thing().n, twice(4), old]")) == [wanted]
    assert channels.run("fixed = 3").error is not None, "a constant is one"


def test_both_streams_come_while_the_cell_runs(channels: Channels) -> None:
    seen: list[str] = []
    code = (
        "console.log('first', { a: 1 }); console.error('wrong');"
        "await new Promise((r) => setTimeout(r, 700)); process.stdout.write('last\\n')"
    )
    began: list[float] = []

    def note(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            seen.append(message["content"]["text"])
            began.append(time.monotonic())

    ran = channels.follow(channels.execute(code), on_message=note)
    assert (ran.stdout, ran.stderr) == ("first { a: 1 }\nlast\n", "wrong\n")
    assert began[-1] - began[0] > 0.3, "the first was not held until the end"


def test_await_stands_at_the_top(channels: Channels) -> None:
    assert shown(channels.run("const later = await new Promise((r) => setTimeout(() => r(7), 20)); later + 1")) == ["8"]
    assert shown(channels.run("later")) == ["7"]
    ran = channels.run("await Promise.reject(new RangeError('far'))")
    assert ran.error is not None
    assert (ran.error["ename"], ran.error["evalue"]) == ("RangeError", "far")


def test_an_error_has_its_name_its_words_and_where_it_was(channels: Channels) -> None:
    ran = channels.run(
        "1;\nfunction deep() {\n  throw new TypeError('no such thing', { cause: new Error('why') });\n}\ndeep();"
    )
    assert ran.error is not None
    assert (ran.error["ename"], ran.error["evalue"]) == ("TypeError", "no such thing")
    traceback = "\n".join(ran.error["traceback"])
    assert traceback.startswith("TypeError: no such thing")
    assert re.search(r"at deep \(cell-\d+:3:9\)", traceback)
    assert "why" in traceback
    assert "/run/devstudio" not in traceback
    assert "node:internal" not in traceback
    for code, name, words in [
        ("const = 3", "SyntaxError", "Unexpected token '='"),
        ("throw 'a text'", "Uncaught", "'a text'"),
        ("throw { get name() { throw 1 } }", "Uncaught", "{ name: [Getter] }"),
        ("nowhere", "ReferenceError", "nowhere is not defined"),
    ]:
        ran = channels.run(code)
        assert ran.error is not None
        assert (ran.error["ename"], ran.error["evalue"]) == (name, words)
        assert ran.error["traceback"]
    assert shown(channels.run("1 + 1")) == ["2"]


def test_what_goes_wrong_in_the_background_is_told_and_ends_nothing(channels: Channels) -> None:
    ran = channels.run(
        "setTimeout(() => { throw new Error('in a timer') }, 1); Promise.reject(new Error('in a promise'));"
        "await new Promise((r) => setTimeout(r, 200)); 'still here'"
    )
    assert shown(ran) == ["'still here'"]
    assert "Uncaught Error: in a timer" in ran.stderr
    assert "Uncaught Error: in a promise" in ran.stderr


def test_modules_come_from_the_notebooks_folder(channels: Channels) -> None:
    assert shown(channels.run("[process.cwd(), __dirname, __filename, require('./own.js').answer]")) == [
        "[\n  '/workspace/web',\n  '/workspace/web',\n  '/workspace/web/shared.ipynb',\n  42\n]"
    ]
    assert shown(channels.run("require('left').pad('x') + require('node:path').basename('/a/b')")) == ["'-xb'"]
    code = (
        "const { default: kind, answer } = await import('./own.mjs');"
        "[kind, answer, (await import('left')).pad('y'), 'import(1)']"
    )
    assert shown(channels.run(code)) == ["[ 'esm', 43, '-y', 'import(1)' ]"]
    ran = channels.run("await import('./missing.mjs')")
    assert ran.error is not None
    assert "Cannot find module '/workspace/web/missing.mjs'" in ran.error["evalue"]


@pytest.mark.parametrize(
    "busy",
    [
        "while (true) {}",
        "await null; while (true) {}",
        "while (true) await null;",
        "await new Promise(() => {});",
        "require('node:child_process').execSync('sleep 100');",
    ],
    ids=["busy", "busy after await", "busy in promises", "waiting", "a program"],
)
def test_an_interrupt_ends_the_cell_and_keeps_the_variables(
    client: KernelClient, kernel: str, channels: Channels, busy: str
) -> None:
    channels.run("var kept = 'kept'")
    interrupted(client, kernel, channels, f"console.log('begun'); {busy}")
    assert shown(channels.run("kept")) == ["'kept'"]
    assert shown(channels.run("await new Promise((r) => setTimeout(() => r('timers, too'), 10))")) == ["'timers, too'"]


def test_an_interrupt_of_nothing_does_nothing(client: KernelClient, kernel: str, channels: Channels) -> None:
    client.post(f"/api/kernels/{kernel}/interrupt")
    time.sleep(0.5)
    assert shown(channels.run("let n = 0; for (let i = 0; i < 1e7; i++) n += 1; n")) == ["10000000"]


def test_names_are_completed(channels: Channels) -> None:
    channels.run(
        "const longish = { inner: { deepest: 1, 'not a name': 2 } }; let touched = 0;"
        "function touch() { touched = 1; return {} }"
    )
    for before, wanted, start in [
        ("longi", ["longish"], 0),
        ("x = longish.inner.dee", ["deepest"], 18),
        ("/* é😀 */ longish.inn", ["inner"], 17),
        ("Math.flo", ["floor"], 5),
        ("nowhere.a", [], 8),
    ]:
        told = asked(channels, "complete_request", {"code": f"{before} + 1", "cursor_pos": len(before)})
        assert (told["matches"], told["cursor_start"], told["cursor_end"]) == (wanted, start, len(before))
    asked(channels, "complete_request", {"code": "touch().", "cursor_pos": 8})
    assert shown(channels.run("touched")) == ["0"]


def test_a_name_is_explained(channels: Channels) -> None:
    channels.run("function area(width, height) { return width * height }\nconst place = { x: 1 }")
    told = asked(channels, "inspect_request", {"code": "area(1, 2)", "cursor_pos": 2, "detail_level": 0})
    assert told["data"]["text/plain"] == "function area(width, height) { return width * height }"
    told = asked(channels, "inspect_request", {"code": "place", "cursor_pos": 5, "detail_level": 0})
    assert told["data"]["text/plain"] == "{ x: 1 }"
    assert not asked(channels, "inspect_request", {"code": "nowhere", "cursor_pos": 3, "detail_level": 0})["found"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("1 + 1", "complete"),
        ("await f()", "complete"),
        ("if (x) {", "incomplete"),
        ("await f(", "incomplete"),
        ("`text", "incomplete"),
        ("let 1", "invalid"),
        ("f(1 2)", "invalid"),
    ],
)
def test_it_is_known_whether_a_cell_is_complete(channels: Channels, code: str, status: str) -> None:
    assert asked(channels, "is_complete_request", {"code": code})["status"] == status


def test_there_is_no_input(channels: Channels) -> None:
    assert shown(channels.run("require('node:fs').readFileSync(0, 'utf8')", answer="never asked")) == ["''"]


def test_what_a_cell_prints_is_no_answer(channels: Channels) -> None:
    forged = '{"id":1,"shown":"forged"}\\n'
    code = f"for (let id = 0; id < 50; id++) console.log('{forged}'.replace('1', id)); 'true'"
    ran = channels.run(code)
    assert shown(ran) == ["'true'"]
    assert ran.stdout.count("forged") == 50
    ran = channels.run("require('node:child_process').execSync('ls /proc/self/fd').toString()")
    assert shown(ran) == ["'0\\n1\\n2\\n3\\n'"], (
        "a program of a cell has its own streams alone, and the folder it lists"
    )


def test_a_burst_arrives_whole(channels: Channels) -> None:
    lines = BURST // 100
    ran = channels.run(
        f"for (let n = 0; n < {lines}; n++) console.log('ä' + String(n).padStart(6, '0') + 'x'.repeat(91));"
        "require('node:child_process').execFileSync('node', "
        "['-e', \"console.log('é€😀'.repeat(10000))\"], { stdio: 'inherit' })"
    )
    assert ran.error is None
    wanted = "".join(f"ä{number:06d}{'x' * 91}\n" for number in range(lines)) + "é€😀" * 10000 + "\n"
    assert ran.stdout == wanted
    ran = channels.run(f"process.stdout.write('y'.repeat({BURST})); process.stderr.write('done')")
    assert (ran.stdout == "y" * BURST, ran.stderr) == (True, "done")


def test_the_container_is_hardened_as_any_kernels(
    channels: Channels,
    kernel: str,
    containers_of: Callable[[Path], set[str]],
    studio: Studio,
    engine: docker.DockerClient,
) -> None:
    assert kernel
    for code in (
        "require('node:fs').symlinkSync('/etc', 'link')",
        "require('node:fs').writeFileSync('/etc/devstudio', '')",
        "require('node:fs').readdirSync('/run/devstudio')",
        "await new Promise((ok, no) => require('node:net').connect(53, '1.1.1.1', ok).on('error', no))",
    ):
        ran = channels.run(code)
        assert ran.error is not None, code
        assert re.search("EPERM|EROFS|EACCES|ENETUNREACH", ran.error["evalue"]), ran.error
    told = [engine.api.inspect_container(box) for box in containers_of(studio.data_dir)]
    assert {one["Config"]["Image"] for one in told} == {"renum-devstudio-node:latest"}
    for one in told:
        config = one["HostConfig"]
        assert (config["NetworkMode"], config["ReadonlyRootfs"], config["CapDrop"]) == ("none", True, ["ALL"])
        assert (config["Memory"], config["PidsLimit"]) == (512 << 20, 256)


def test_a_kernel_that_dies_says_why_and_starts_again_without_its_variables(person: KernelClient) -> None:
    kernel = person.kernel("dies.ipynb", JAVASCRIPT)
    with person.channels(kernel) as channels:
        channels.run("var gone = 1")
        ran = channels.follow(channels.execute("console.log('before'); process.exit(3)"))
        assert ran.stdout == "before\n"
        assert "exit code 3" in ran.stderr
        assert ran.states == ["restarting"]
        assert shown(channels.run("typeof gone")) == ["'undefined'"]
        ran = channels.follow(channels.execute("const held = []; while (true) held.push(Buffer.alloc(5e7, 1))"))
        assert "ran out of memory: it may use 512 MiB" in ran.stderr
        person.post(f"/api/kernels/{kernel}/restart")
        assert shown(channels.run("var back = 1; typeof gone + back")) == ["'undefined1'"]


def test_a_warm_kernel_goes_where_its_notebook_is_and_outlives_the_server(
    tmp_path: Path, containers_of: Callable[[Path], set[str]]
) -> None:
    data_dir = tmp_path / "data"
    with Studio(data_dir, arguments=("--DevStudioApp.warm_kernels=1",)) as studio:
        client = KernelClient(studio.url, f"token {studio.api.token}")
        (data_dir / "workspaces" / str(LOCAL_TENANT_ID) / "deep").mkdir()
        client.kernel("first.ipynb", JAVASCRIPT)
        until(lambda: len(containers_of(data_dir)) == 2, "a warm kernel")
        time.sleep(1)  # until it answers
        waited = containers_of(data_dir)
        kernel = client.kernel("deep/second.ipynb", JAVASCRIPT)
        code = "let kept = [process.cwd(), __filename, require.resolve.paths('x')[0]].join(); kept"
        wanted = "'/workspace/deep,/workspace/deep/second.ipynb,/workspace/deep/node_modules'"
        assert shown(client.run(kernel, code)) == [wanted]
        assert waited <= containers_of(data_dir), "the one that waited serves"
        client.close()
    with Studio(data_dir, arguments=("--DevStudioApp.warm_kernels=0",)) as studio:
        client = KernelClient(studio.url, f"token {studio.api.token}")
        assert shown(client.run(kernel, "kept")) == [wanted]
        for one in client.http.get("/api/sessions").json():
            assert client.http.delete(f"/api/sessions/{one['id']}").status_code == 204
        client.close()
    assert not containers_of(data_dir)
