"""The README of a bundle: how to check it, in words."""

from __future__ import annotations

README = """What this is
------------
Evidence from RENUM DevStudio: what was asked for, what was changed, who approved it, what was tested, and that it was
written down when it happened. It is a plain tar file.

How to check it
---------------
With DevStudio installed:      devstudio evidence verify FILE --key KEYS
With nothing but Python 3.9+:  python devstudio-evidence.pyz verify FILE --key KEYS

KEYS are the public keys that you trust, from `devstudio keys export` or GET /api/v1/signing-keys of the server. Get
them from the server's people, not from whoever gave you this file: keys.json inside is as good as the manifest's
signature. Without --key only the agreement of the bundle with itself is checked.

What is in it
-------------
manifest.json      every other file with size and SHA-256, signed; and what was left out, and why
session/           requirements, design, tasks, and the notebook
evidence.json      each task's criteria, and the run that proves each
patches/<id>/      the diff, its signed statement, and what it was before
approvals/         the signed approvals
runs/<id>/         each run, its signed statement, and the SHA-256 of its log
commits, trees, blobs   git's own objects, by id: SHA-1 over "commit <size>\\0" and the bytes, and so on
audit/segment.jsonl     the audit from the first entry about this to the last; of entries about other things the hashes
policy.json        the project's rules of review when this was exported
keys.json          the public keys of the server

What it does not show
---------------------
That the tests are good tests; that people are who their ids say (the server's sign-in says so); that the machine on
which the tests ran was honest: its owner holds the key. Logs and the tests' output stay on the server.
"""
