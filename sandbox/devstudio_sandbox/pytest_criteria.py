"""A pytest plugin: tests say which acceptance criteria they prove, and the JUnit report repeats it.

``@pytest.mark.criterion("1.2", "1.3")`` becomes one property ``criterion`` per key. In a sandbox this file is the
module ``devstudio_criteria``; it needs pytest 7 or newer and nothing else.
"""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that ``--strict-markers`` accepts it."""
    config.addinivalue_line("markers", "criterion(*keys): the acceptance criteria that this test proves, such as 1.2")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the keys down before anything runs, so that a test that errs in its set-up has them too."""
    for item in items:
        keys = [str(key) for mark in item.iter_markers("criterion") for key in mark.args]
        item.user_properties += [("criterion", key) for key in dict.fromkeys(keys)]
