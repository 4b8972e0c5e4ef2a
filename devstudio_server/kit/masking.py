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

# Without their punctuation they are only numbers, so the check digits decide.
_BARE_NUMBER = re.compile(r"(?<![\w.-])(?:\d{14}|\d{11})(?![\w-])")
_CPF_DIGITS, _CNPJ_DIGITS = 11, 14
_CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)

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
    return _BARE_NUMBER.sub(_name_of_number, text)


def _name_of_number(match: re.Match[str]) -> str:
    digits = [int(digit) for digit in match[0]]
    if len(set(digits)) > 1:
        if len(digits) == _CPF_DIGITS and all(_cpf_check(digits[:n]) == digits[n] for n in (9, 10)):
            return "<CPF>"
        if len(digits) == _CNPJ_DIGITS and all(_cnpj_check(digits[:n]) == digits[n] for n in (12, 13)):
            return "<CNPJ>"
    return match[0]


def _cpf_check(digits: list[int]) -> int:
    weighted = sum(digit * weight for weight, digit in enumerate(reversed(digits), 2))
    return weighted * 10 % 11 % 10


def _cnpj_check(digits: list[int]) -> int:
    weighted = sum(digit * weight for digit, weight in zip(digits, _CNPJ_WEIGHTS[-len(digits) :], strict=True))
    return weighted * 10 % 11 % 10


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
