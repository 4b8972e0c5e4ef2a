import pytest

from support.bundle_maker import BundleMaker


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    """A bundle that no test may change."""
    made = BundleMaker(tmp_path_factory.mktemp("bundle"))
    made.members()
    return made


@pytest.fixture
def maker(made_once: BundleMaker) -> BundleMaker:
    return made_once.copy()
