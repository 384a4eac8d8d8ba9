"""Pin and Signal: levels that the world can see and set.

Promises: an input reads what the world drives, or its pull; handlers run inside calls and waits, as soft interrupts
do. Leaves to others: analogue pins and pulse trains, which no node of ours uses yet.
"""

import _bridge
from micropython import const

_CONFIGURE, _READ, _WRITE, _WATCH = const(0), const(1), const(2), const(3)
_NO_PULL = const(0)


class Pin:
    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_DOWN, PULL_UP = 1, 2
    IRQ_RISING, IRQ_FALLING = 1, 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None):
        self._id = id if isinstance(id, int) else id._id
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None):
        pull = _NO_PULL if pull is None or pull < 0 else pull
        try:
            _bridge.call(_bridge.PIN, self._id, _CONFIGURE, (mode & 255) | pull << 8)
        except OSError:
            raise ValueError("invalid pin") from None
        if value is not None:
            self.value(value)

    def value(self, x=None):
        if x is None:
            return _bridge.call(_bridge.PIN, self._id, _READ)
        _bridge.call(_bridge.PIN, self._id, _WRITE, 1 if x else 0)
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self.value())

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING, wake=None):
        """`handler(pin)` after each matching edge; None ends it."""

        def notice(edge):
            if edge & trigger:
                handler(self)

        _bridge.pin_handlers[self._id] = notice if handler else None
        _bridge.call(_bridge.PIN, self._id, _WATCH, trigger if handler else 0)
        return self

    def __repr__(self):
        return "Pin({})".format(self._id)  # noqa: UP032 - as the board prints it


class Signal:
    def __init__(self, pin_obj, invert=False):
        self._pin = pin_obj
        self._invert = bool(invert)

    def value(self, x=None):
        if x is None:
            return self._pin.value() ^ self._invert
        self._pin.value(bool(x) ^ self._invert)
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)
