"""Programs that try to get out of a sandbox: none does; and most are shown to, where nothing holds them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import Place, Weak

HERE = Path(__file__).parent
RUNTIMES = ("runc", "gvisor", "bubblewrap")
LOOSE = {
    "bubblewrap": {"program_in_shared_memory", "program_in_tmp"},
    "gvisor": {"be_nicer_to_oneself", "never_out_of_memory"},
}
"""What a backend does not promise: bubblewrap's /tmp takes programs, as sandbox/README.md says; and gVisor lets a
process change numbers that the host never hears of, which a test of its own shows."""
FORGERY = "forge_its_answer"


@dataclass(frozen=True)
class Listed:
    """A probe, as the corpus lists it."""

    name: str
    area: str
    control: str


def corpus() -> list[Listed]:
    """List the corpus as the sandboxes will see it."""
    told = subprocess.run([sys.executable, "-B", "-m", "probes"], cwd=HERE, capture_output=True, text=True, check=True)
    return [Listed(*line.split("\t")[:3]) for line in told.stdout.splitlines() if line.count("\t") == 3]


PROBES = corpus()
CONTROLLED = [probe for probe in PROBES if probe.control != "none"]
ran: dict[str, set[str]] = {runtime: set() for runtime in RUNTIMES}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_nothing_gets_out(runtime: str, probe: Listed, places: dict[str, Place]) -> None:
    if probe.name in LOOSE.get(runtime, set()):
        return
    place = places[runtime]
    try:
        told = place.run(probe.name)
        # One verdict, and not the error of a probe that is broken.
        assert f"CONTAINED {probe.name}: " in told.stdout, told
        assert "ESCAPED" not in told.stdout + told.stderr
        assert told.exit_code == (99 if probe.name == FORGERY else 0)
        if probe.area == "supervisor":
            assert place.well()
    except BaseException:
        place.close()
        raise
    ran[runtime].add(probe.name)


@pytest.mark.parametrize("probe", CONTROLLED, ids=lambda probe: probe.name)
def test_it_gets_out_where_nothing_holds_it(probe: Listed, weak: Weak) -> None:
    assert f"ESCAPED {probe.name}: " in weak.run(probe.control, probe.name)


def test_the_corpus_is_what_it_says() -> None:
    """As many as the documentation says, and where a runtime was asked for, each ran on it."""
    assert len(PROBES) >= 40
    assert len(CONTROLLED) >= 40
    counts = Counter(probe.area for probe in PROBES)
    table = "".join(f"| {area} | {count} |\n" for area, count in sorted(counts.items()))
    text = (HERE.parents[2] / "docs" / "security.md").read_text()
    assert (
        f"<!-- escape-probes:begin -->\n| Area | Probes |\n|---|---|\n{table}| all | {len(PROBES)} |\n<!--" in text
    ), table
    names = {probe.name for probe in PROBES}
    for runtime, done in ran.items():
        assert not done or done == names - LOOSE.get(runtime, set())


def test_what_a_process_tells_gvisor_stays_there(places: dict[str, Place]) -> None:
    """Its priority and its turn when memory runs out are gVisor's own: the host's are as they were."""
    place = places["gvisor"]
    before = place.on_the_host()
    for name in sorted(LOOSE["gvisor"]):
        assert f"{name}: " in place.run(name).stdout
    assert place.on_the_host() == before
    assert before == {("0", "0")}
