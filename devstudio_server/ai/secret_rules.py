"""The table of secrets that can be told by their shape, and how one is told from what only looks like it.

A rule is looked for where one of its ``anchors`` stands, so that a megabyte without any costs a few searches of text.
Every pattern is bounded or eats one run of characters that it is tried on once (``border``), so the time is linear in
the text whatever the text is. Shapes are those that the providers document for their own scanners.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_WORD = re.compile(r"[A-Za-z0-9_-]")
_ALNUM = re.compile(r"[A-Za-z0-9]")

# What stands in documents and templates where a secret would stand.
_PLACEHOLDER = re.compile(
    r"\[secret removed|example|placeholder|change-?_?me|replace-?_?me|your[-_ ]|dummy|redacted|<[^<>]*>"
    r"|\$\{|\$\(|\{\{|%\(|^%[sd]|^\$[A-Za-z_]|^\{[\w.]+\}$|environ|getenv|process\.env|secrets?\.|vault[.:(]"
    r"|^(?:x+|X+|\*+|\.+|#+|0+|-+|_+)$|^(?:(?:[xX]{3,}|\*{3,}|\.{3})|(?:abc|1234)[\w-]*$)",
    re.IGNORECASE,
)
_COMMON = frozenset(
    {
        *("password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "senha", "none", "null", "nil", "true"),
        *("false", "undefined", "string", "str", "bytes", "optional", "required", "empty", "hidden", "test", "testing"),
        *("tests", "user", "username", "admin", "root", "guest", "localhost", "default", "unknown"),
    }
)


@dataclass(frozen=True)
class Rule:
    """One shape. ``group`` of the pattern is the secret; ``border`` must not match the character before the anchor.

    ``accept`` judges what the pattern found. The pattern is tried where an anchor starts.
    """

    kind: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]
    border: re.Pattern[str] | None = _ALNUM
    group: int = 0
    accept: Callable[[str], bool] = lambda _: True


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters of ``text``, in bits a character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values()) if size else 0.0


def is_placeholder(value: str) -> bool:
    """Tell what documents and templates say in place of a secret."""
    return value.strip().lower() in _COMMON or _PLACEHOLDER.search(value) is not None


def looks_random(value: str) -> bool:
    """Tell a made-up value from a word: figures among its letters, and many different characters."""
    return _has_figures(value) and entropy(value) >= 3.0 and not is_placeholder(value)  # noqa: PLR2004 - see secret_scan


def _has_figures(value: str) -> bool:
    return any(character.isdigit() for character in value) and any(character.isalpha() for character in value)


def _is_password(value: str) -> bool:
    return not is_placeholder(value)


def _rule(
    kind: str,
    anchors: str,
    pattern: str,
    *,
    border: re.Pattern[str] | None = _ALNUM,
    group: int = 0,
    accept: Callable[[str], bool] = looks_random,
) -> Rule:
    return Rule(kind, tuple(anchors.split()), re.compile(pattern), border, group, accept)


def _given(value: str) -> bool:
    return not is_placeholder(value)


RULES: tuple[Rule, ...] = (
    _rule("Anthropic key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{16,250}", border=_WORD),
    _rule("OpenAI key", "sk-", r"sk-(?!ant-)(?:proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_-]{20,250}", border=_WORD),
    _rule(
        "AWS access key",
        "AKIA ASIA ABIA ACCA",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        accept=_given,
    ),
    _rule("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    _rule("Google OAuth secret", "GOCSPX- ya29.", r"(?:GOCSPX-[A-Za-z0-9_-]{24,60}|ya29\.[A-Za-z0-9_-]{30,400})"),
    _rule(
        "Azure key",
        "AccountKey= SharedAccessKey= SharedAccessSignature=",
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)=([^\s;\"'<>]{20,400})",
        group=1,
        accept=_given,
    ),
    _rule("Azure signature", "sig=", r"sig=([A-Za-z0-9%+/=]{40,120})(?![A-Za-z0-9%])", group=1),
    _rule("Azure client secret", "8Q~", r"8Q~[A-Za-z0-9_.~-]{31,34}(?![A-Za-z0-9_.~-])", border=None),
    _rule("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _rule("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{50,255}"),
    _rule(
        "GitLab token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glimt- glagent- gloas-",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[A-Za-z0-9_-]{20,300}(?:\.[a-z0-9]{2}\.[a-z0-9]{9})?",
    ),
    _rule("Slack token", "xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xoxc- xoxd-", r"xox[a-e,p-s]-[A-Za-z0-9%-]{10,250}"),
    _rule("Slack token", "xapp-", r"xapp-\d-[A-Za-z0-9-]{20,200}"),
    _rule(
        "webhook address",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_+-]{20,200})",
        border=None,
        group=1,
    ),
    _rule(
        "webhook address",
        "discord.com/api/webhooks/ discordapp.com/api/webhooks/",
        r"discord(?:app)?\.com/api/webhooks/\d{10,25}/([A-Za-z0-9_-]{40,100})",
        border=None,
        group=1,
    ),
    _rule("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}"),
    _rule("Stripe key", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,100}"),
    _rule("npm token", "npm_", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _rule("PyPI token", "pypi-", r"pypi-AgE[A-Za-z0-9_-]{50,400}"),
    _rule("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,60}(?![A-Za-z0-9])", accept=_given),
    _rule("SendGrid key", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,60}"),
    _rule("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"do[por]_v1_[a-f0-9]{64}"),
    _rule("Twilio key", "SK", r"SK[a-f0-9]{32}(?![A-Za-z0-9])"),
    _rule("Shopify token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _rule("Databricks token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?(?![A-Za-z0-9])"),
    _rule("Vault token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    _rule("Grafana token", "glsa_ glc_", r"(?:glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/=]{32,400})"),
    _rule("Linear key", "lin_api_", r"lin_api_[A-Za-z0-9]{32,60}"),
    _rule("Telegram token", ":AA", r":(AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])", border=re.compile(r"\D"), group=1),
    _rule("age key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    _rule(
        "JSON Web Token",
        "eyJ",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
        border=_WORD,
        accept=_given,
    ),
    _rule(
        "password in an address",
        "://",
        r"://[^\s:/@\"'<>`]{0,200}:([^\s/\"'<>`]{1,200})@",
        border=re.compile(r"[^A-Za-z0-9+.]"),
        group=1,
        accept=_is_password,
    ),
    _rule(
        "authorization header",
        "earer asic",
        r"(?:earer|asic)[ \t]{1,4}([A-Za-z0-9._~+/=-]{16,2000})",
        border=re.compile(r"[^bB]"),
        group=1,
    ),
    _rule(
        "password of .netrc",
        "password ",
        r"password[ \t]{1,8}(\S{4,200})",
        border=re.compile(r"[^ \t\n]"),
        group=1,
        accept=looks_random,
    ),
)
