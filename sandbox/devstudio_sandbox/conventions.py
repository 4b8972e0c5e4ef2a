"""Which files are tests, as the runners of their languages find them: the one place where that is said."""

import re

_TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests__|spec)/|(?:^|/)test_[^/]*\.py$|_test\.(?:py|go|rb|exs)$|[._-](?:test|spec)\.[cm]?[jt]sx?$"
    r"|Tests?\.(?:java|kt|cs)$"
)
_SUPPORT = re.compile(r"(?:^|/)(?:conftest\.py|pytest\.ini|(?:jest|vitest|mocha)\.(?:setup|config)\.[cm]?[jt]s)$")


def is_test(path: str) -> bool:
    """Tell whether the file is a test, or lies where only tests do."""
    return _TEST.search(path) is not None


def belongs_to_tests(path: str) -> bool:
    """Tell whether tests need the file and the code that they test does not."""
    return is_test(path) or _SUPPORT.search(path) is not None
