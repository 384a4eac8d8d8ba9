"""A satellite receiver that speaks: GGA and RMC each second, at 9600 baud, as a u-blox module leaves the factory.

DS = u-blox 8 / M8 Receiver Description UBX-13003221, "NMEA messages". Not specified, so chosen here: a report begins at
each full second after power came; a receiver with power has its fix at once. Not played: its own binary language, other
sentences but under "other_talkers", movement, errors of the position.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from balise_sim.devices.base import Quantity, UARTDevice

SECOND_US = 1_000_000
ROLLOVER_S = 1024 * 7 * 86_400  # the system counts its weeks in ten bits
GNSS, DEAD_RECKONING = 1, 6  # DS "position fix flags in NMEA", quality of GGA


def sentence(body: str) -> bytes:
    """DS "NMEA protocol frame": the exclusive or of the bytes between $ and *."""
    check = 0
    for byte in body.encode():
        check ^= byte
    return f"${body}*{check:02X}\r\n".encode()


def angle(degrees: float, digits: int, sides: str) -> str:
    """DS "latitude and longitude format": degrees, minutes to five decimals, and the side."""
    whole, parts = divmod(round(abs(degrees) * 60 * 100_000), 6_000_000)
    return f"{whole:0{digits}}{parts // 100_000:02}.{parts % 100_000:05},{sides[degrees < 0]}"


class Model(UARTDevice):
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {  # DS: five decimals of a minute, 0.1 m; a fix in space takes four
        "latitude": Quantity(-90.0, 90.0, 1e-6, 50.9413),
        "longitude": Quantity(-180.0, 180.0, 1e-6, 1.8586),
        "altitude": Quantity(-500.0, 9000.0, 0.1, 12.0),
        "satellites": Quantity(4.0, 24.0, 1.0, 9.0),
    }
    REPORTS: ClassVar[Mapping[str, str]] = {"gnss_status": "quality of GGA, and 16 when RMC is valid"}
    FAULTS = UARTDevice.FAULTS | {
        "no_fix": "no satellite is heard, as under a roof: the sentences have no position",
        "cold": "no satellite was heard since power came: the sentences have no time either",
        "dead_reckoning": "the position is guessed from the last one (quality 6)",
        "wrong_checksum": "every checksum is one too high",
        "other_talkers": "a receiver of several systems: GN speaks, and other sentences stand between",
        "antenna_cut": "the antenna is cut in the middle of a sentence: it breaks off, and then there is no fix",
        "rolled_over": "an old receiver: its dates are 1024 weeks in the past",
    }
    COMMAND_HEAD, COMMAND_BYTES = b"\xb5\x62", 8  # DS "UBX frame structure"; none is obeyed

    def __init__(self, start_utc_s: int = 1_790_000_000, seed: int = 0) -> None:
        """`start_utc_s`: the time that satellites tell at now_us = 0."""
        super().__init__(seed)
        self._start_utc_s = start_utc_s
        self.reset(0)

    def reset(self, now_us: int) -> None:
        self._next_us = now_us + SECOND_US
        self._was_cut = False

    def on_command(self, command: bytes, at_us: int) -> bool:
        return False

    def next_report_us(self) -> int | None:
        return self._next_us

    def report(self, at_us: int) -> None:
        self._next_us = at_us + SECOND_US
        gga, rmc = self._gga(at_us), self._rmc(at_us)
        breaks_off = self.has("antenna_cut") and not self._was_cut
        self._was_cut = self.has("antenna_cut")
        if self.has("other_talkers"):
            self.emit(sentence("GNGSA,A,3,80,71,73,79,69,,,,,,,,1.83,1.09,1.47"), at_us)
            self.emit(sentence("GLGSV,1,1,01,69,04,075,17"), at_us)
        self.emit(self._checked(gga)[: len(gga) // 2 if breaks_off else None], at_us)
        self.emit(self._checked(rmc), at_us)

    def _checked(self, body: str) -> bytes:
        whole = sentence(body)
        if self.has("wrong_checksum"):
            check = (int(whole[-4:-2], 16) + 1) & 0xFF
            whole = whole[:-4] + f"{check:02X}\r\n".encode()
        return whole

    def _talker(self) -> str:
        return "GN" if self.has("other_talkers") else "GP"

    def _has_fix(self) -> bool:
        return not (self.has("no_fix") or self.has("cold") or (self.has("antenna_cut") and self._was_cut))

    def _moment(self, at_us: int) -> datetime:
        utc_s = self._start_utc_s + at_us // SECOND_US - (ROLLOVER_S if self.has("rolled_over") else 0)
        return datetime.fromtimestamp(utc_s, UTC)

    def _time(self, at_us: int) -> str:
        return "" if self.has("cold") else f"{self._moment(at_us):%H%M%S}.00"

    def _place(self, at_us: int) -> str:
        north, east = self.measure("latitude", at_us), self.measure("longitude", at_us)
        return f"{angle(north, 2, 'NS')},{angle(east, 3, 'EW')}"

    def _gga(self, at_us: int) -> str:
        """DS "GGA": time, position, quality, satellites, dilution, altitude, geoid, corrections."""
        head = f"{self._talker()}GGA,{self._time(at_us)}"
        if not self._has_fix():
            return f"{head},,,,,0,00,99.99,,,,,,"
        quality = DEAD_RECKONING if self.has("dead_reckoning") else GNSS
        count, altitude = round(self.measure("satellites", at_us)), self.measure("altitude", at_us)
        return f"{head},{self._place(at_us)},{quality},{count:02},1.01,{altitude:.1f},M,44.0,M,,"

    def _rmc(self, at_us: int) -> str:
        """DS "RMC": time, status, position, speed, course, date, magnetic variation, mode."""
        head, date = (
            f"{self._talker()}RMC,{self._time(at_us)}",
            "" if self.has("cold") else f"{self._moment(at_us):%d%m%y}",
        )
        if not self._has_fix():
            return f"{head},V,,,,,,,{date},,,N"
        mode = "E" if self.has("dead_reckoning") else "A"
        return f"{head},A,{self._place(at_us)},0.004,,{date},,,{mode}"
