"""Serve the answers of a folder until the process is ended."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from support.model_server import Answer, AnswersBrain, Brain, ModelServer, ScriptBrain


def main() -> None:
    """Serve, and print the URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--answers", type=Path, help="a folder such as examples/semver/answers")
    what.add_argument("--text", help="what is answered to everything")
    options = parser.parse_args()
    brain: Brain = ScriptBrain([Answer(options.text)]) if options.text else AnswersBrain(options.answers)
    with ModelServer(brain, port=options.port) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
