"""Words: how texts are cut into them, in files by the million and in a task with a weight for each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

SHORTEST = 3
_LONGEST_TEXT = 200_000  # characters of one text of a task that are looked at
_MOST_TERMS = 80

# Letters, digits and the bytes of other scripts as they are, all else a space: a file becomes its words at the speed of
# C. Underscores part words, so that `parse_version` is found by "version".
_APART = bytes(
    byte if byte > 0x7F or chr(byte).isalnum() else 0x20  # noqa: PLR2004 - the end of ASCII
    for byte in range(256)
)
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CODE = re.compile(r"`([^`\n]{2,120})`|\b(\w+_\w+|[a-z]+[A-Z]\w*)\b")
_PATH = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w.-]+\.[A-Za-z]\w{0,9})(?![\w/])")

# Words of EARS and of everyday, in both languages, that say nothing about where something is in a repository.
_STOP = frozenset(
    """
    the and for with that this from into when while where then than shall will must should may can not are was were has
    have had its their there they them each any all some such only other more most one two new add added make made use
    used uses using user users want system task tasks requirement requirements criterion criteria test tests file files
    code write implement given return returns value values which what who how but also without within between after
    before does did being been just same like over under out about
    que para com uma uns umas dos das nos nas por como quando enquanto onde então sistema deve dever deverá não mais
    usuário usuários tarefa tarefas requisito requisitos critério critérios teste testes arquivo arquivos código
    escrever implementar ser são foi sem sobre entre após antes cada todos todas esse essa este esta isso
    """.split()  # noqa: SIM905 - a list of 130 quoted words reads worse
)


def raw_words_of(content: bytes) -> set[bytes]:
    """Return the words of a file as they are written."""
    return set(content.translate(_APART).split())


def words_of(text: str) -> set[str]:
    """Return the words of a text, and the parts of those in camel case, in lower case."""
    return {piece for word in raw_words_of(text.encode("utf-8", "replace")) for piece in pieces_of(word)}


def pieces_of(word: bytes) -> tuple[str, ...]:
    """Return what a word is found by: itself, and its parts when it is in camel case; all in lower case."""
    text = word.decode("utf-8", "replace")
    lower = text.lower()
    if len(text) < SHORTEST or text in {lower, text.upper()}:
        return (lower,) if len(text) >= SHORTEST else ()
    parts = (part for part in _CAMEL.sub(" ", text).lower().split() if len(part) >= SHORTEST)
    return tuple(dict.fromkeys([lower, *parts]))


def path_words(path: str) -> set[str]:
    """Return the words of a path."""
    parted = path if path.islower() else _CAMEL.sub(" ", path).lower()
    return {word for word in _WORD.findall(parted) if len(word) >= SHORTEST}


def named_paths(text: str) -> list[str]:
    """Return what looks like the path of a file in ``text``, in its order."""
    return list(dict.fromkeys(match.removeprefix("./") for match in _PATH.findall(text[:_LONGEST_TEXT])))


@dataclass(frozen=True)
class Term:
    """A word to look for, in each of its ``forms``."""

    word: str
    weight: float
    forms: tuple[str, ...]


def weigh(texts: Iterable[tuple[str, float]]) -> tuple[Term, ...]:
    """Return the words that say where to look, the heaviest first: each with the weight of the heaviest text it is in.

    A word counts in singular and plural, without its accents, and joined with the next one (``parse version`` finds
    ``parseVersion``); one that stands as code counts twice. Ties are in the order of the text.
    """
    weights: dict[str, float] = {}
    for text, weight in texts:
        shown = text[:_LONGEST_TEXT]
        for word in (word for match in _CODE.findall(shown) for name in match for word in _pieces(name)):
            _raise(weights, word, 2 * weight)
        pieces = _pieces(shown)
        for word in pieces:
            _raise(weights, word, weight)
        for first, second in pairwise(pieces):
            _raise(weights, first + second, weight)
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:_MOST_TERMS]
    return tuple(Term(word, weight, _forms(word)) for word, weight in heaviest)


def _raise(weights: dict[str, float], word: str, weight: float) -> None:
    single = word[:-1] if len(word) > SHORTEST and word.endswith("s") and not word.endswith("ss") else word
    weights[single] = max(weight, weights.get(single, 0.0))


def _pieces(text: str) -> list[str]:
    found = (word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text)))
    return [word for word in found if len(word) >= SHORTEST and word not in _STOP and not word.isdigit()]


def _forms(word: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFD", word).encode("ascii", "ignore").decode()
    bases = [word, *([plain] if plain != word and len(plain) >= SHORTEST else [])]
    return tuple(form for base in bases for form in (base, f"{base}s"))
