"""`bluetooth` of the board: a peripheral that advertises, is connected to, and notifies.

Promises: names, flags and events of the real module, as far as a peripheral without pairing needs them; the handler of
events runs inside calls and waits, as soft interrupts do. Leaves to others: scanning and connecting to others, pairing.
"""

import json
import struct

import _bridge
from micropython import const

FLAG_READ, FLAG_WRITE_NO_RESPONSE, FLAG_WRITE, FLAG_NOTIFY, FLAG_INDICATE = 0x02, 0x04, 0x08, 0x10, 0x20

_ACTIVE, _ADVERTISE, _REGISTER, _WRITE, _READ, _NOTIFY = const(0), const(1), const(2), const(3), const(4), const(5)
_EVENTS, _DISCONNECT, _BUFFER, _SET_MTU = const(6), const(7), const(8), const(9)
_CONNECTED, _DISCONNECTED = const(1), const(2)
_PIN = const(255)


class UUID:
    """16 bits as a number, or 128 bits as a text."""

    def __init__(self, value):
        self._text = "{:04x}".format(value) if isinstance(value, int) else value.lower()  # noqa: UP032

    def __eq__(self, other):
        return isinstance(other, UUID) and self._text == other._text

    def __hash__(self):
        return hash(self._text)

    def __repr__(self):
        return "UUID({})".format("0x" + self._text if len(self._text) == 4 else repr(self._text))


class BLE:
    _only = None

    def __new__(cls):
        """There is one radio."""
        if BLE._only is None:
            BLE._only = object.__new__(cls)
            BLE._only._handler = None
            BLE._only._gap_name = "MPY " + _bridge.settings["platform"].upper()
        return BLE._only

    def active(self, active=None):
        return bool(_bridge.call(_bridge.BLE, 0, _ACTIVE, -1 if active is None else int(bool(active))))

    def config(self, *names, **settings):
        if "gap_name" in settings:
            self._gap_name = settings["gap_name"]
        if "mtu" in settings:
            _bridge.call(_bridge.BLE, 0, _SET_MTU, settings["mtu"])
        if settings:
            return None
        if names == ("mac",):
            return (0, bytes.fromhex(_bridge.settings["unique_id"])[:6])
        if names == ("mtu",):
            return _bridge.call(_bridge.BLE, 0, _SET_MTU, 0)
        if names == ("gap_name",):
            return self._gap_name.encode()
        raise ValueError("unknown config param")

    def irq(self, handler):
        """`handler(event, data)` for each event; None ends it."""
        self._handler = handler
        _bridge.pin_handlers[_PIN] = self._tell if handler else None

    def _tell(self, _edge):
        while True:
            event = _bridge.call(_bridge.BLE, 0, _EVENTS)
            if not event:
                return
            data = _bridge.reply()
            connection = event in (_CONNECTED, _DISCONNECTED)
            if self._handler:
                self._handler(event, struct.unpack("<HB6s" if connection else "<HH", data))

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        if interval_us is None:
            _bridge.call(_bridge.BLE, 0, _ADVERTISE, -1)
            return
        adv, resp = bytes(adv_data or b""), bytes(resp_data or b"")
        if len(adv) > 31 or len(resp) > 31:
            raise ValueError("advertising data is longer than 31 bytes")
        _bridge.call(_bridge.BLE, 0, _ADVERTISE, interval_us, bytes((1 if connectable else 0, len(adv))) + adv + resp)

    def gap_disconnect(self, conn_handle):
        return bool(_bridge.call(_bridge.BLE, 0, _DISCONNECT, conn_handle))

    def gatts_register_services(self, services_definition):
        """The value handles of all characteristics, a tuple for each service."""
        told = [[s[0]._text, [[c[0]._text, c[1]] for c in s[1]]] for s in services_definition]
        _bridge.call(_bridge.BLE, 0, _REGISTER, 0, json.dumps(told).encode())
        handles = _bridge.reply()
        found = []
        at = 0
        for _, characteristics in services_definition:
            end = at + 2 * len(characteristics)
            found.append(struct.unpack("<" + "H" * len(characteristics), handles[at:end]))
            at = end
        return tuple(found)

    def gatts_read(self, value_handle):
        _bridge.call(_bridge.BLE, 0, _READ, value_handle)
        return _bridge.reply()

    def gatts_write(self, value_handle, data, send_update=False):
        _bridge.call(_bridge.BLE, 0, _WRITE, value_handle, data)

    def gatts_notify(self, conn_handle, value_handle, data=None):
        sent = self.gatts_read(value_handle) if data is None else data
        _bridge.call(_bridge.BLE, 0, _NOTIFY, conn_handle << 16 | value_handle, sent)

    def gatts_set_buffer(self, value_handle, len, append=False):
        _bridge.call(_bridge.BLE, 0, _BUFFER, value_handle, struct.pack("<HB", len, 1 if append else 0))
