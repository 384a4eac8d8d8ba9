"""Every report says which MicroPython the nodes ran on: it is a preview, and boards run releases."""

from collections.abc import Callable

from balise_sim.node import Node
from balise_sim.verdict import Verdict
from balise_sim.view import verdict_lines


def test_a_node_knows_its_interpreter(run: Callable[..., Node]) -> None:
    node = run("import os\nprint(os.uname()[3])\n")
    assert "; MicroPython " in node.vm_version
    assert node.vm_version in node.console.text(), "firmware can send it home in its manifest"


def test_the_verdict_names_it() -> None:
    version = "3.4.0; MicroPython v1.29"
    assert f"nodes ran on               {version}" in verdict_lines(Verdict(vm=version))
