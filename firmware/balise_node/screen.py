"""A row's values on the node's displays, one to a line: the name of its channel, and the value as people write it.

Leaves to the displays' drivers how letters look. Only a node with a display pays memory for this.
"""

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node.sensors import Member


class Screen:
    """Built with the displays and the names of the values that will be shown."""

    def __init__(self, displays: "list[Member]", names: list[str]) -> None:
        from balise_wire.channels import channel  # a table: needed only here, and then forgotten

        self._displays = displays
        self._columns = [(name, channel(name).scale) for name in names]

    def show(self, values: "list[int | None]") -> None:
        """Writes the values on every display that is there."""
        lines = [f"{name} {_plain(values[at], scale)}" for at, (name, scale) in enumerate(self._columns)]
        for display in self._displays:
            if not display.failing:
                display.attempt(lambda display=display: display.driver.show(lines))  # type: ignore[misc]


def _plain(value: "int | None", scale: int) -> str:
    if value is None:
        return "-"
    digits = str(abs(value))
    if scale:
        digits = "0" * (scale + 1 - len(digits)) + digits
        digits = digits[:-scale] + "." + digits[-scale:]
    return "-" + digits if value < 0 else digits
