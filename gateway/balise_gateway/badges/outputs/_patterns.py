"""Lights and sounds of the states: when on, when off, and in which colour.

Promises that no two states have the same rhythm, so that nobody needs colours; that only "accepted" is green; and that
the table in gateway/BADGES.md is this one. Leaves pins to `led.py` and `buzzer.py`.
"""

from dataclasses import dataclass

RGB = {
    "white": (1, 1, 1),
    "green": (0, 1, 0),
    "yellow": (1, 1, 0),
    "violet": (1, 0, 1),
    "red": (1, 0, 0),
    "blue": (0, 0, 1),
}


@dataclass(frozen=True)
class Rhythm:
    """Seconds on, off, on, …; then after `again_s` once more (None: only once)."""

    steps_s: tuple[float, ...]
    again_s: float | None = None

    def text(self) -> str:
        """For people."""
        told = ", ".join(f"{'off' if n % 2 else 'on'} {step:g}" for n, step in enumerate(self.steps_s))
        return told if self.again_s is None else f"{told}; again after {self.again_s:g}"


@dataclass(frozen=True)
class Light:
    """A state's colour of an RGB LED, its lamp of three (red, yellow, green), its rhythm."""

    colour: str
    lamp: str
    rhythm: Rhythm


LIGHTS = {
    "ready": Light("white", "yellow", Rhythm((0.1,), 3.0)),
    "accepted": Light("green", "green", Rhythm((2.0,))),
    "desk": Light("yellow", "yellow", Rhythm((0.6, 0.3, 0.6))),
    "no_credit": Light("violet", "yellow", Rhythm((0.6, 0.3, 0.2, 0.3, 0.6))),
    "unknown": Light("red", "red", Rhythm((0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15))),
    "unplugged": Light("red", "red", Rhythm((0.1, 0.2, 0.1), 2.0)),
    "sending": Light("blue", "yellow", Rhythm((0.5,), 0.5)),
}
SOUNDS = {  # what is not named here is silent
    "accepted": Rhythm((0.12,)),
    "desk": Rhythm((0.12, 0.12, 0.12)),
    "no_credit": Rhythm((0.12, 0.12, 0.4)),
    "unknown": Rhythm((0.6,)),
}
