"""Masks personal data and secrets before they reach a log or the audit (LGPD)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECRET_KEYS = re.compile(
    r"(?i)(authorization|cookie|token|secret|password|passwd|senha|api[_-]?key|credential|private[_-]?key)"
)
_SECRET = "***"  # noqa: S105 - what a secret is replaced by
# In this order: what looks like several is the first. None looks at a character twice, however long the text.
_PATTERNS = (
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]++\.[\w-]*+"), "<token>"),
    (re.compile(r"\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[bap])[-_][\w-]{12,}"), "<key>"),
    (re.compile(r"(?i)\b(bearer|token|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+@"), "***@"),
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"), "<e-mail>"),
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), "<CPF>"),
    (re.compile(r"\b\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}\b"), "<CNPJ>"),
    (re.compile(r"(?<![\w-])(?:\+?55\s?)?\(?\d{2}\)?\s?9?\d{4}-\d{4}(?![\w-])"), "<phone>"),
)


_MIN_SECRET = 8
_known = re.compile(r"(?!)")
_secrets: set[str] = set()


def keep_secret(*secrets: str) -> None:
    """Mask these texts wherever they come up: the server's own token, keys, passwords. Short ones are passed over."""
    global _known  # noqa: PLW0603 - one table for the process, as its logs are
    _secrets.update(secret for secret in secrets if len(secret) >= _MIN_SECRET)
    if _secrets:
        _known = re.compile("|".join(re.escape(secret) for secret in sorted(_secrets, key=len, reverse=True)))


def mask_text(text: str) -> str:
    """Return ``text`` with e-mail addresses, CPF, CNPJ, phone numbers, tokens and keys replaced by what they are."""
    text = _known.sub(_SECRET, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def mask(data: Any) -> Any:
    """Return JSON data with every text masked, and with the whole value of any key that names a secret."""
    if isinstance(data, str):
        return mask_text(data)
    if isinstance(data, Mapping):
        return {str(key): _SECRET if _is_secret(str(key), value) else mask(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [mask(item) for item in data]
    return data


def _is_secret(key: str, value: Any) -> bool:
    """Tell a secret from a count of tokens or the digest of one."""
    is_count = value is None or isinstance(value, (bool, int, float))
    return not is_count and _SECRET_KEYS.search(key) is not None and not key.endswith("_id")
