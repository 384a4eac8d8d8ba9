"""OPC-N3 particle counter on the wire: handshake, all commands, 24 bins, fan and laser, and grains that come by chance.

DS = Alphasense 072-0503 "Supplemental SPI Information for the OPC-N3" Issue 2 (2018-12-10); layout of configuration and
status as South Coast Science's drivers read them (scs_dfe_eng, opc_firmware_conf.py and opc_status.py), with the
example values of the former. Grains of 16 to 40 um come as a Poisson count of the concentration that is set, spread
over bins 15 to 23; finer bins follow from the PM values, without chance. The flow is the usual 280 ml/min.
Not specified, so chosen here: 10 ms from command to ready; a byte clocked too soon is the one before it again; out of
step it says 00; which pot is which; the first histogram tells a length that has nothing to do with its counts; PM is
that of the interval's end; power-up takes 2 s in which nothing is driven. The fan's revolutions are 0, as in logs.
Not played: writing configuration or serial number (3A, 11), the bootloader (41), and logging to the SD card on its own.
"""

import math
import struct
from collections.abc import Callable, Mapping
from typing import ClassVar

from balise_sim.devices.base import Quantity, SPIDevice

READY, BUSY, LOST, UNDRIVEN = 0xF3, 0x31, 0x00, 0xFF  # DS, timing
READY_US, GAP_US, RECOVER_US, POWER_UP_US = 10_000, 10, 2_000_000, 2_000_000  # DS, timing
SECOND_US = 1_000_000
SLICE_US = 10 * SECOND_US  # a concentration that changes is taken from the middle of so long
FLOW_ML_S, SLOW_ML_S = 4.67, 1.9
LASER_MONITOR = 606  # as in public logs
BINS, COARSE = 24, 15
# fmt: off
BOUNDS_CUM = (  # hundredths of um
    35, 46, 66, 100, 130, 170, 230, 300, 400, 520, 650, 800, 1000, 1200, 1400, 1600, 1800, 2000, 2200, 2500,
    2800, 3100, 3400, 3700, 4000,
)
BOUNDS_ADC = (
    14, 40, 80, 120, 145, 215, 340, 590, 846, 1363, 2029, 2848, 4119, 5527, 7076, 8624, 10204, 11815, 13457, 15897,
    18305, 20698, 22966, 25140, 27158,
)
# fmt: on
COARSE_SHARES = (14, 16, 18, 18, 12, 9, 6, 4, 3)  # most grains are of 20 to 28 um
DENSITY_PG_UM3 = 1.65
INFO = b"OPC-N3 Iss1.1 FirmwareVer=1.17a".ljust(58, b".") + b"BS"
SERIAL = b"OPC-N3 177336702".ljust(60)
SAVE = bytes((0x3F, 0x3C, 0x3F, 0x3C, 0x43))  # DS, command 43


def crc16(data: bytes) -> int:
    """DS, checksum, with everything mirrored: polynomial 8005, most significant bit first, mirrored at the end."""
    register = 0xFFFF
    for byte in data:
        for bit in range(8):
            top = register >> 15 ^ byte >> bit & 1
            register = (register << 1 & 0xFFFF) ^ (0x8005 if top else 0)
    return int(f"{register:016b}"[::-1], 2)


def sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def configuration(weighting: int) -> bytes:
    """DS, command 3C: 168 bytes."""
    words = (*BOUNDS_ADC, *BOUNDS_CUM, *[165] * BINS, 100, 250, 1000, 4095, 1, 0, 61798)
    return struct.pack("<81H", *words) + bytes((0, 0, 0, 56, 48, weighting))


class Model(SPIDevice):
    MODE, MIN_HZ, MAX_HZ = 1, 300_000, 750_000  # DS, timing
    CHANNELS: ClassVar[Mapping[str, Quantity]] = {
        "pm2_5": Quantity(0.0, 1000.0, 0.1, 8.0),
        "pm1": Quantity(0.0, 1000.0, 0.1, 5.0),
        "pm10": Quantity(0.0, 2000.0, 0.1, 14.0),
        "temperature": Quantity(-40.0, 85.0, 0.01, 18.0),
        "humidity": Quantity(0.0, 100.0, 0.01, 55.0),
        "coarse_per_m3": Quantity(0.0, 100_000.0, 0.1, 40.0),
    }
    COUNTED: ClassVar[Mapping[str, tuple[str, str]]] = {"coarse_per_m3": ("coarse_count", "sampled_volume")}
    REPORTS: ClassVar[Mapping[str, str]] = {
        "coarse_count": "grains of one interval, by chance",
        "sampled_volume": "the air of one interval",
        "coarse_1h_per_m3": "computed by the driver",
        "coarse_1h_low_per_m3": "computed by the driver",
        "coarse_1h_high_per_m3": "computed by the driver",
        "coarse_24h_per_m3": "computed by the driver",
        "coarse_24h_low_per_m3": "computed by the driver",
        "coarse_24h_high_per_m3": "computed by the driver",
        "opc_n3_status": "bits of the driver, and the laser's monitor",
    }
    FAULTS = SPIDevice.FAULTS | {
        "busy_forever": "the part says 31 and is never ready",
        "laser_off": "the fan turns, but the laser stays off whatever is told",
        "fan_slow": "the flow is less than half of what is usual",
        "fan_off": "neither fan nor flow, whatever is told",
        "crc": "the checksum of every answer is wrong",
        "dirty_lens": "three of four particles are rejected by their ratio",
        "pm_nan": "PM values are not numbers, as with a weak supply",
    }

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._saved = (2, bytes((255, 255)))  # weighting index, pots: kept without power
        self.reset(-POWER_UP_US)

    def reset(self, now_us: int) -> None:
        self._awake_us = now_us + POWER_UP_US
        self._fan = self._laser = False
        self._weighting, self._pots = self._saved
        self._since_us, self._known = now_us, False
        self._idle()
        self._heard_us = now_us
        self._lost = False
        self._last = LOST

    @property
    def is_counting(self) -> bool:
        return self._fan and self._laser and not self.has("laser_off") and not self.has("fan_off")

    def on_byte(self, byte: int, at_us: int, until_us: int) -> int:
        quiet_us, self._heard_us = at_us - self._heard_us, until_us
        if at_us < self._awake_us:
            return UNDRIVEN
        if quiet_us > RECOVER_US:
            self._idle()
            self._lost = False
        if self._lost:
            return LOST
        if self._command is None:
            return self._begin(byte, at_us)
        return self._handshake(byte, at_us) if self._answer is None else self._go_on(byte, quiet_us, at_us)

    def _idle(self) -> None:
        self._command: int | None = None
        self._called_us = 0
        self._answer: bytes | None = None
        self._told = 0
        self._arguments = b""

    def _begin(self, byte: int, at_us: int) -> int:
        if byte not in self.ANSWERS:
            return self._lose()
        self._command, self._called_us = byte, at_us
        return BUSY

    def _handshake(self, byte: int, at_us: int) -> int:
        assert self._command is not None
        if byte != self._command:
            return self._lose()
        if at_us - self._called_us < READY_US or self.has("busy_forever"):
            return BUSY
        self._answer = self.ANSWERS[self._command](self, at_us)
        if self.has("crc") and self._command in (0x30, 0x32):
            self._answer = self._answer[:-1] + bytes((self._answer[-1] ^ 0x55,))
        self._end(at_us)
        return READY

    def _go_on(self, byte: int, quiet_us: int, at_us: int) -> int:
        """One byte of data, out or in."""
        assert self._answer is not None
        if quiet_us < GAP_US:
            return self._last
        self._last = self._answer[self._told]
        self._told += 1
        self._arguments += bytes((byte,))
        last = self._last
        self._end(at_us)
        return last

    def _end(self, at_us: int) -> None:
        """Back to waiting for a command when all was said."""
        assert self._answer is not None
        assert self._command is not None
        if self._told < len(self._answer):
            return
        act, arguments = self.ACTS.get(self._command), self._arguments
        self._idle()
        if act is not None:
            act(self, arguments, at_us)

    def _lose(self) -> int:
        self._idle()
        self._lost = True
        return LOST

    # What commands do

    def _power(self, arguments: bytes, at_us: int) -> None:
        """DS, command 03: bits 1 and 2 say what, bit 0 says on; a new start makes a histogram of unknown length."""
        what, on = arguments[0] >> 1, bool(arguments[0] & 1)
        if what == 1:
            self._known &= self._fan == on
            self._fan = on
        elif what == 3:
            self._known &= self._laser == on
            self._laser = on

    def _pot(self, arguments: bytes, at_us: int) -> None:
        """DS, command 42: 0 is the fan's, 1 the laser's."""
        pots = bytearray(self._pots)
        if arguments[0] < len(pots):
            pots[arguments[0]] = arguments[1]
        self._pots = bytes(pots)

    def _weight(self, arguments: bytes, at_us: int) -> None:
        if arguments[0] <= 10:
            self._weighting = arguments[0]

    def _save(self, arguments: bytes, at_us: int) -> None:
        if arguments == SAVE:
            self._saved = (self._weighting, self._pots)

    def _restart(self, arguments: bytes, at_us: int) -> None:
        self.reset(at_us)

    def _status(self, at_us: int) -> bytes:
        """DS, command 13: fan, laser DAC, both DAC values, laser switch, gain."""
        fan, laser = self._fan and not self.has("fan_off"), self._laser and not self.has("laser_off")
        return bytes((fan, laser, *self._pots, laser, 0))

    def _configuration(self, at_us: int) -> bytes:
        return configuration(self._weighting)

    def _pm(self, at_us: int) -> bytes:
        """DS, command 32; the histogram begins anew."""
        pm = self._pm_floats(at_us)
        self._since_us, self._known = at_us, True
        return sealed(pm)

    def _pm_floats(self, at_us: int) -> bytes:
        if self.has("pm_nan"):
            return struct.pack("<3f", *[math.nan] * 3)
        values = [self.measure(name, at_us) if self.is_counting else 0.0 for name in ("pm1", "pm2_5", "pm10")]
        return struct.pack("<3f", *values)

    def _histogram(self, at_us: int) -> bytes:
        """DS, command 30: 86 bytes; the next histogram begins."""
        span_us, flow_ml_s = at_us - self._since_us, self._flow_ml_s()
        counts = self._fine_bins(at_us, span_us, flow_ml_s)
        counts += self._coarse_bins(self._since_us, at_us, flow_ml_s)
        told_s = span_us / SECOND_US if self._known else self._random.uniform(0.1, 600.0)
        self._since_us, self._known = at_us, True
        total = sum(counts)
        rejects = (total // 100, 0, 3 * total if self.has("dirty_lens") else total // 3, total // 200)
        raw_t = round((self.measure("temperature", at_us) + 45) / 175 * 65535)
        raw_rh = round(self.measure("humidity", at_us) / 100 * 65535)
        words = (*[min(count, 65535) for count in counts],)
        body = struct.pack("<24H", *words) + bytes((28, 31, 34, 36))
        body += struct.pack("<4H", min(round(told_s * 100), 65535), round(flow_ml_s * 100), raw_t, raw_rh)
        body += self._pm_floats(at_us)
        body += struct.pack("<6H", *[min(count, 65535) for count in rejects], 0, LASER_MONITOR)
        return sealed(body)

    def _flow_ml_s(self) -> float:
        if not self._fan or self.has("fan_off"):
            return 0.0
        return SLOW_ML_S if self.has("fan_slow") else FLOW_ML_S

    def _fine_bins(self, at_us: int, span_us: int, flow_ml_s: float) -> list[int]:
        """Bins 0 to 14: the PM values' masses as particles of one size each; most of PM1 is too small to be seen."""
        counts = [0] * COARSE
        if not self.is_counting:
            return counts
        pm1, pm2_5, pm10 = (self.measure(name, at_us) for name in ("pm1", "pm2_5", "pm10"))
        volume_m3 = flow_ml_s * span_us / SECOND_US * 1e-6
        for at, ug_m3 in ((2, pm1 / 4), (5, pm2_5 - pm1), (10, pm10 - pm2_5)):
            size_um = (BOUNDS_CUM[at] + BOUNDS_CUM[at + 1]) / 200
            one_ug = DENSITY_PG_UM3 * 1e-6 * math.pi / 6 * size_um**3
            counts[at] = max(0, round(ug_m3 * volume_m3 / one_ug))
        return counts

    def _coarse_bins(self, from_us: int, to_us: int, flow_ml_s: float) -> list[int]:
        """Bins 15 to 23: grains by chance, of the concentration as it was all the time."""
        counts = [0] * (BINS - COARSE)
        if self.is_counting:
            mean, start_us = 0.0, from_us
            while start_us < to_us:
                end_us = min(start_us + SLICE_US, to_us)
                per_m3 = self.measure("coarse_per_m3", (start_us + end_us) // 2)
                mean += per_m3 * flow_ml_s * (end_us - start_us) / SECOND_US * 1e-6
                start_us = end_us
            for at in self._random.choices(range(len(counts)), COARSE_SHARES, k=self._poisson(mean)):
                counts[at] += 1
        return counts

    def _poisson(self, mean: float) -> int:
        """A Poisson count: how many waiting times of mean 1 fit into the mean."""
        count, waited = 0, self._random.expovariate(1.0)
        while waited < mean:
            count += 1
            waited += self._random.expovariate(1.0)
        return count

    ANSWERS: ClassVar[Mapping[int, Callable[["Model", int], bytes]]] = {  # DS, commands: what is said, from ready on
        0x03: lambda self, at_us: bytes((READY,)),
        0x05: lambda self, at_us: bytes((READY,)),
        0x06: lambda self, at_us: b"",
        0x10: lambda self, at_us: SERIAL,
        0x12: lambda self, at_us: bytes((1, 17)),
        0x13: _status,
        0x30: _histogram,
        0x32: _pm,
        0x3C: _configuration,
        0x3F: lambda self, at_us: INFO,
        0x42: lambda self, at_us: bytes((READY,)) * 2,
        0x43: lambda self, at_us: bytes((READY,)) * len(SAVE),
        0xCF: lambda self, at_us: b"",
    }
    ACTS: ClassVar[Mapping[int, Callable[["Model", bytes, int], None]]] = {  # and what is done with what came in
        0x03: _power,
        0x05: _weight,
        0x06: _restart,
        0x42: _pot,
        0x43: _save,
    }
