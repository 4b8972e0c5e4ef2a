"""Which runs are under way, and the one choice of a backend."""

from __future__ import annotations

import pytest

from devstudio_sandbox import Backend, Command, SandboxSpec, SandboxUnavailable
from devstudio_sandbox.process_backend import ProcessBackend
from devstudio_server.execution.backend import BackendChoice
from devstudio_server.execution.control import RunControl
from devstudio_server.kit.ids import new_id


def test_a_cancel_reaches_the_sandbox_of_a_run_while_it_lasts() -> None:
    control, run_id = RunControl(), new_id()
    assert not control.kill(run_id)
    with ProcessBackend().open(SandboxSpec("python", new_id(), run_id)) as sandbox:
        with control.running(run_id, sandbox):
            assert control.active() == [run_id]
            assert control.kill(run_id)
            assert sandbox.run(Command(("true",)), lambda _stream, _data: None).cancelled
        assert control.active() == []
        assert not control.kill(run_id)


def test_a_backend_is_chosen_once_and_again_only_after_a_failure() -> None:
    calls: list[int] = []

    def choose() -> Backend:
        calls.append(1)
        if len(calls) == 1:
            raise SandboxUnavailable("not yet")
        return ProcessBackend()

    choice = BackendChoice(choose)
    with pytest.raises(SandboxUnavailable):
        choice()
    assert choice() is choice()
    assert len(calls) == 2
