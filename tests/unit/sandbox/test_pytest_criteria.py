"""The plugin that lets tests say what they prove."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devstudio_sandbox import parse_junit
from devstudio_sandbox.host import PLUGIN, PLUGIN_NAME


def run(folder: Path, text: str, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, tuple[str, ...]]]:
    """Run pytest with the plugin in a folder that has no configuration; return each test's criteria."""
    shutil.copyfile(PLUGIN, folder / PLUGIN_NAME)
    (folder / "test_it.py").write_text(text)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "devstudio_criteria",
        "-p",
        "no:cacheprovider",
        "--junitxml=r.xml",
        *options,
    ]
    done = subprocess.run(
        argv, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    tests = parse_junit((folder / "r.xml").read_bytes()).tests
    return done, {test.name: test.criteria for test in tests}


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
@pytest.mark.parametrize("options", [(), ("--strict-markers",), ("-W", "error")])
def test_keys_reach_the_report(tmp_path: Path, family: str, options: tuple[str, ...]) -> None:
    text = """
import pytest

@pytest.mark.criterion("1.1")
class TestGroup:
    @pytest.mark.criterion("1.2", "1.1")
    def test_inner(self):
        pass

@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.criterion("2.1")), 2])
def test_each(n):
    pass

@pytest.mark.criterion("3.1")
def test_fails(record_property):
    assert False

def test_none():
    pass
"""
    done, criteria = run(tmp_path, text, "-o", f"junit_family={family}", *options)
    assert criteria == {
        "test_inner": ("1.2", "1.1"),
        "test_each[1]": ("2.1",),
        "test_each[2]": (),
        "test_fails": ("3.1",),
        "test_none": (),
    }
    assert "PytestUnknownMarkWarning" not in done.stdout
    assert "criterion" not in done.stderr


def test_the_marker_is_documented(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "def test_a(): pass")
    assert done.returncode == 0
    argv = [sys.executable, "-m", "pytest", "-p", "devstudio_criteria", "--markers"]
    told = subprocess.run(
        argv, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "@pytest.mark.criterion(*keys)" in told.stdout
