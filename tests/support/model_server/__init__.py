"""A local server that speaks OpenAI's Chat Completions and Anthropic's Messages, for the real SDKs to talk to.

What it answers comes from a `Brain`; what it was asked is kept in `ModelServer.requests`. Like the real ones it refuses
a conversation in which a tool call has no result, and it streams when it is asked to: `Flow` says how, and what goes
wrong on the way. Run it by itself, with ``tests`` on the path:
``python -m support.model_server --port 0 --answers examples/semver/answers`` prints its URL.
"""

from support.model_server.brains import AnswersBrain, Brain, ScriptBrain
from support.model_server.forms import Answer, Call, Fault, Flow, SeenRequest, Turn
from support.model_server.server import ModelServer

__all__ = [
    "Answer",
    "AnswersBrain",
    "Brain",
    "Call",
    "Fault",
    "Flow",
    "ModelServer",
    "ScriptBrain",
    "SeenRequest",
    "Turn",
]
