"""Finds secrets in a text and replaces them, in time linear in the text.

Besides the shapes of `secret_rules` there are private keys, from their first line on whether or not the last one came
along, and assignments (``password = "…"``, ``DB_PASSWORD=…``), which count when the value is nothing that a program
reads from elsewhere and is made up rather than a word. The bound for that, 3 bits a character and figures among the
letters, is where words of English and Portuguese end on the corpus of the tests; it is no proof.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from devstudio_server.ai.secret_rules import RULES, Rule, entropy, is_placeholder, looks_random

_KEY_OPENS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_CLOSES = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\]*")
_LONGEST_KEY = 32_000

# What a name has in it that holds a secret. `key` alone says nothing: what stands before it has to.
_NAMES = ("passw", "passp", "pwd", "senha", "secret", "segredo", "token", "credential", "chave", "key")
_KEYS = (
    "api",
    "access",
    "private",
    "auth",
    "account",
    "encryption",
    "signing",
    "master",
    "secret",
    "shared",
    "service",
)
# The rest of the name, and the sign of assignment; then a quoted value or the rest of the word.
_ASSIGNMENT = re.compile(
    r"([A-Za-z0-9_-]{0,40})[\"'\]\\]{0,3}(?::[ \t]?str)?[ \t]{0,8}(?:=>|:=|==?|:|,|\()[ \t]{0,8}"
    r"(?:[bru]?\"([^\"\n]{1,500})\"|[bru]?'([^'\n]{1,500})'|\\\"([^\"\\\n]{1,500})\\\"|([^\s\"'`,;(){}<>\[\]&]{1,500}))",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"--(?:password|passwd|token|api-key|secret)[ \t]{1,4}([^\s\"'`]{6,200})", re.IGNORECASE)
# A name that goes on like this holds something about a secret, not the secret.
_ABOUT = re.compile(
    r"[_-]?(?:hash|sha\d*|digest|id|ids|count|counts|type|name|names|url|uri|path|file|field|version|length|len|size|"
    r"limit|limits|usage|expiry|expires|at|ttl|env|header|prefix|pattern|regex|s|ize|izer|policy|rule|rules|label|"
    r"status|class|ref|arn)$",
    re.IGNORECASE,
)
_ENV_SETTING = re.compile(r"[ \t]*(?:(?:export|-|ENV|ARG)[ \t]+)?[A-Z][A-Z0-9_]*[ \t]*=[ \t]*")
_ENV_LINE = re.compile(r"(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]{0,100})[ \t]*=[ \t]*([^\s#][^\n]{0,4000})")
_ENV_FILE = re.compile(r"(?:^|/)\.env(?:\.[\w.-]+)?$|(?:^|/)[\w.-]+\.env$")
_ENV_HARMLESS = re.compile(
    r"^[\"']?(?:true|false|yes|no|on|off|[\d.]{1,12}|[a-z]{1,12}|https?://[^@\s]*|[\d.]+:\d+)[\"']?$"
)
_SHORTEST_QUOTED = 8
_UUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_HASH = re.compile(r"^(?:sha\d{1,3}[:-]|md5:)", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Where a secret stands, and what it is."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Masked:
    """A text without its secrets, and how many of each kind were taken out."""

    text: str
    kinds: Counter[str]


def placeholder(kind: str) -> str:
    """Return what stands in place of a secret."""
    return f"[secret removed: {kind}]"


def mask(text: str, *, path: str = "") -> Masked:
    """Replace every secret of ``text``; ``path`` is the file that it was read from, if it was."""
    spans = find_secrets(text, path=path)
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], placeholder(span.kind)]
        end = span.end
    pieces.append(text[end:])
    return Masked("".join(pieces), Counter(span.kind for span in spans))


def find_secrets(text: str, *, path: str = "") -> list[Span]:
    """Return the secrets of ``text`` in its order; where two overlap, as one."""
    found = [*_private_keys(text), *(span for rule in RULES for span in _shapes(rule, text)), *_assigned(text)]
    if _ENV_FILE.search(path):
        found += _environment(text)
    return _joined(sorted(found, key=lambda span: (span.start, -span.end)))


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = Span(last.start, max(last.end, span.end), last.kind)
        else:
            joined.append(span)
    return joined


def _shapes(rule: Rule, text: str) -> Iterator[Span]:
    for anchor in rule.anchors:
        at = text.find(anchor)
        while at >= 0:
            match = None if _is_inside(rule, text, at) else rule.pattern.match(text, at)
            if match and rule.accept(match.group(rule.group)):
                yield Span(match.start(rule.group), match.end(rule.group), rule.kind)
            at = text.find(anchor, match.end() if match else at + len(anchor))


def _is_inside(rule: Rule, text: str, at: int) -> bool:
    return rule.border is not None and at > 0 and rule.border.match(text, at - 1) is not None


def _private_keys(text: str) -> Iterator[Span]:
    if "PRIVATE KEY" not in text:
        return
    closings = [match.end() for match in _KEY_CLOSES.finditer(text)]
    end = 0
    for opening in _KEY_OPENS.finditer(text):
        if opening.start() < end:
            continue
        index = bisect_left(closings, opening.end())
        end = closings[index] if index < len(closings) else len(text) + _LONGEST_KEY
        if end - opening.end() > _LONGEST_KEY:  # cut short: the lines of a key go on until there is another character
            body = _KEY_BODY.match(text, opening.end(), opening.end() + _LONGEST_KEY)
            end = body.end() if body else opening.end()
        yield Span(opening.start(), end, "private key")


def _assigned(text: str) -> Iterator[Span]:
    for match in _assignments(text):
        group = next(index for index in (2, 3, 4, 5) if match.group(index) is not None)
        value = match.group(group)
        if _ABOUT.search(match.group(1)) or is_placeholder(value) or _HASH.match(value):
            continue
        is_secret = _is_bare_secret(match, value) if group == 5 else _is_quoted_secret(value)  # noqa: PLR2004
        if is_secret:
            yield Span(match.start(group), match.end(group), "password or key")
    for match in _COMMAND.finditer(text):
        if looks_random(match.group(1)):
            yield Span(match.start(1), match.end(1), "password or key")


def _assignments(text: str) -> Iterator[re.Match[str]]:
    """Yield what is assigned to names that say secret, each from behind the word in the name that says so."""
    lowered = text.replace("\u0130", "I").lower()  # the one letter whose small form is longer than itself
    for name in _NAMES:
        at = lowered.find(name)
        while at >= 0:
            end = at + len(name)
            is_named = name != "key" or lowered[max(0, at - 12) : at].rstrip("_-").endswith(_KEYS)
            match = _ASSIGNMENT.match(text, end) if is_named else None
            if match:
                yield match
            at = lowered.find(name, match.end() if match else end)


def _is_quoted_secret(value: str) -> bool:
    if len(value) < _SHORTEST_QUOTED or " " in value:
        return False
    kinds = sum(
        any(test(character) for character in value)
        for test in (str.islower, str.isupper, str.isdigit, lambda character: not character.isalnum())
    )
    return kinds > 1 and entropy(value) >= 2.75 and _is_made_up(value)  # noqa: PLR2004 - see the module


def _is_made_up(value: str) -> bool:
    """Tell a value with figures or odd signs from names that are joined by them."""
    if any(character.isdigit() for character in value):
        return True
    return any(character in "!@#$%^&*+=?~|" for character in value)


def _is_bare_secret(match: re.Match[str], value: str) -> bool:
    """Judge a value without quotes: in code it is a name, in a file of settings it is the secret itself."""
    if match.string[match.start() : match.start(5)].rstrip().endswith((",", "(")):
        return False
    before = match.string[max(0, match.start() - 100) : match.start()].rpartition("\n")[2]
    name = before + match.group(0)[: match.start(5) - match.start()]
    is_environment = _ENV_SETTING.fullmatch(name) is not None
    if is_environment:
        return (len(value) >= 6 and _is_made_up(value)) or looks_random(value)  # noqa: PLR2004 - see the module
    if not looks_random(value) or len(value) < _SHORTEST_QUOTED:
        return False
    return "." not in value or entropy(value) >= 4  # noqa: PLR2004 - `config.token2` is a name


def _environment(text: str) -> Iterator[Span]:
    """In a file of environment variables every value counts that is not plainly harmless."""
    for match in _ENV_LINE.finditer(text):
        value = match.group(2).strip()
        if not _ENV_HARMLESS.match(value) and not is_placeholder(value.strip("\"'")):
            yield Span(match.start(2), match.start(2) + len(value), "value of .env")
