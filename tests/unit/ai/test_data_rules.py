"""What the real SDKs send: no secret and nothing restricted, whatever the model asks for; and a record of the rest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from devstudio_server.ai.contract import ProposeChanges
from devstudio_server.ai.dialogue import Conversation
from devstudio_server.ai.endpoints import Endpoint, TokenPrice
from devstudio_server.ai.errors import ProviderError
from devstudio_server.ai.restricted import RESTRICTED_FILE
from devstudio_server.ai.schemas import Provider
from devstudio_server.ai.use import ModelUse
from support.ai_world import GOOD_CHANGE, KEY, MemoryReader, World, generation_conversation
from support.model_server import Answer, Call, Fault, ScriptBrain

CANARY = "CANARY-2f9e-of-a-restricted-file"
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6"
FILES = {
    RESTRICTED_FILE: "prices/\n",
    "prices/secret.py": f"PRICE = '{CANARY}'\n",
    "app/settings.py": f"GITHUB = '{TOKEN}'\n",
    "app/main.py": "A = 1\n",
}
ASKS = [
    Answer(calls=[Call("list_files", {"glob": "*"}), Call("read_file", {"path": "prices/secret.py"})]),
    Answer(calls=[Call("read_file", {"path": RESTRICTED_FILE}), Call("read_file", {"path": "./prices/secret.py"})]),
    Answer(calls=[Call("read_file", {"path": "app/settings.py"}), Call("list_files", {"glob": "prices/*"})]),
    GOOD_CHANGE,
]


def asked() -> Conversation[ProposeChanges]:
    return generation_conversation(reader=MemoryReader(FILES), prompt=f"Write it. The token is {TOKEN}.")


def sent(world: World) -> str:
    return json.dumps([request.body for request in world.requests], ensure_ascii=False)


def test_an_outside_model_gets_neither_secrets_nor_restricted_files(world: World) -> None:
    outcome = world.converse(world.gateway(ASKS), asked())
    assert CANARY not in sent(world)
    assert TOKEN not in sent(world)
    assert "prices/secret.py" not in json.dumps([turn.text for turn in world.requests[1].turns[:2]])
    assert "app/main.py" in sent(world)
    assert any("GitHub token" in warning for warning in outcome.usage.warnings)
    assert TOKEN not in json.dumps(outcome.usage.warnings)


def test_each_call_records_the_digests_of_what_it_carried_and_no_text(world: World) -> None:
    world.converse(world.gateway(ASKS), asked())
    rows = world.rows()
    assert len(rows) == len(world.requests) == 4
    carried = [{part["name"]: part for part in row.carried} for row in rows]
    assert list(carried[0]) == ["system", "prompt"]
    prompt = world.requests[0].turns[0].text.encode()
    assert carried[0]["prompt"]["sha256"] == hashlib.sha256(prompt).hexdigest()
    assert carried[0]["prompt"]["bytes"] == len(prompt)
    assert "read_file app/settings.py" in carried[3]
    everything = json.dumps([row.carried for row in rows])
    assert "Write it" not in everything
    assert TOKEN not in everything


def test_a_call_that_failed_records_them_too(world: World) -> None:
    gateway = world.gateway([Fault(status=500), GOOD_CHANGE], retries=1)
    world.converse(gateway, asked())
    failed, good = world.rows()
    assert not failed.success
    assert failed.carried == good.carried != []


def test_a_model_of_the_house_gets_everything_and_hands_over_to_none_outside(world: World) -> None:
    reads = Answer(
        calls=[Call("read_file", {"path": "prices/secret.py"}), Call("read_file", {"path": "app/settings.py"})]
    )
    world.server = world.start(ScriptBrain([reads, Fault(status=500)]))
    settings = world.settings(world.server)
    address = world.server.openai_base_url if world.protocol == "openai" else world.server.url
    free = {"in-house": TokenPrice(Decimal(0), Decimal(0))}
    house = Endpoint("house", Provider(world.protocol), KEY, ("in-house",), address, outside=False, prices=free)
    use = ModelUse(policy={"fallback": [f"{world.protocol}/{world.model}"]})
    conversation = replace(asked(), model="house/in-house", settings=use)
    with pytest.raises(ProviderError):
        world.converse(world.open(replace(settings, named_endpoints=(house,))), conversation)
    assert CANARY in sent(world)
    assert TOKEN in sent(world)
    assert {request.model for request in world.requests} == {"in-house"}
