"""Many streets with random faults, played both ways; the seed of each is printed, so that any can be played again.

Promises: stops at nothing, and says at the end which seeds did not come home. Leaves to others: playing and judging.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from balise_sim.scenario import Scenario, random_scenario
from balise_sim.verdict import Verdict

START_UTC_MS = 1_544_356_800_000  # 2018-12-09T12:00:00Z, inside the recording
PACE = 600  # simulated seconds per second with real processes

Player = Callable[[Scenario, Path, int], Verdict]


@dataclass(frozen=True)
class Run:
    """One street of a soak: which way it was played, from which seed, and how it ended."""

    way: str
    seed: int
    verdict: Verdict
    root: Path

    def line(self) -> str:
        v = self.verdict
        what = "ok" if v.ok else f"NOT OK, its files are kept in {self.root}"
        return (
            f"{self.way:<13} seed {self.seed:<10} rows {v.produced:>5}  lost {len(v.lost)}  duplicated "
            f"{len(v.duplicated)}  holes {len(v.holes)}  node kills {v.node_kills}  {what}"
        )


def any_core() -> int:
    """One of this machine's cores: a world and its VMs take turns, so on one core they run about twice as fast."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[os.getpid() % len(allowed)]


def deterministic(scenario: Scenario, root: Path, seed: int) -> Verdict:
    """On virtual time."""
    from balise_sim.street import Street

    return Street(scenario, root, seed, core=any_core()).play()


def paced(scenario: Scenario, root: Path, seed: int) -> Verdict:
    """With real processes, real sockets and real kills."""
    from balise_sim.processes import play

    return play(scenario, root, seed, PACE)


WAYS: dict[str, Player] = {"deterministic": deterministic, "paced": paced}


def soak(seeds: list[int], ways: dict[str, Player] = WAYS) -> Iterator[Run]:
    """Plays a random scenario for each seed, the ways in turn; the files of a run that fails are kept."""
    names = list(ways)
    for number, seed in enumerate(seeds):
        way = names[number % len(names)]
        root = Path(tempfile.mkdtemp(prefix=f"balise-{way}-{seed}-"))
        run = Run(way, seed, ways[way](random_scenario(seed, START_UTC_MS), root, seed), root)
        if run.verdict.ok:
            shutil.rmtree(root)
        yield run
