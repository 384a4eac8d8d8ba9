"""The keeper's frames say what they should, as the wire's own reader understands them; under both interpreters."""

from pathlib import Path

import pytest

from balise_node import rows
from balise_wire.items import Anchor, Loss, Readings
from node.interpreters import BOTH, names_of_cases, run_case


@pytest.mark.parametrize("interpreter", BOTH)
@pytest.mark.parametrize("case", names_of_cases("keeper_cases"))
def test_keeper(interpreter: str, case: str, tmp_path: Path) -> None:
    run_case(interpreter, "keeper_cases", case, tmp_path)


def test_the_nodes_arrays_are_the_wires() -> None:
    assert rows.readings(3, 1_790_000_040, [1, None], {}) == Readings(3, None, [1_790_000_040], [[1], [None]]).pack()
    flagged = Readings(3, None, [60], [[1], [2]], {1: [[0, 3]]})
    assert rows.readings(3, 60, [1, 2], {1: 3}) == flagged.pack()
    assert rows.readings(3, [9, 60], [-7], {}) == Readings(3, 9, [60], [[-7]]).pack()
    assert rows.anchor(9, 1, 2, 3) == Anchor(9, 1, 2, "gateway", 3).pack()
    assert (
        rows.loss("urn:dev:x", "rows", [9, 1], [9, 2], "late")
        == Loss("urn:dev:x", "rows", [9, 1], [9, 2], "late").pack()
    )
