"""A PN532 at its serial line (HSU), as bytes in and bytes out (NXP UM0701-02, PN532 user manual; no clock, no file).

Promises the chip of firmware 1.6: it sleeps until its fifth rising edge, acknowledges each whole frame and then answers
it, changes its speed only after the host's ACK, breaks a command off for an ACK or a new command, repeats an answer for
a NACK, and knows nothing of bytes that come at another speed. Leaves cards to radio.py, and waiting to pn532_tty.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

from balise_sim.nfc import frames
from balise_sim.nfc.faults import Faults
from balise_sim.nfc.field import Field
from balise_sim.nfc.radio import BadSyntax, Pending, Radio

FIRMWARE = bytes.fromhex("32010607")  # PN532, version 1.6, ISO 14443 A and B, ISO 18092
SPEEDS_BAUD = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)  # 7.2.7
FIRST_SPEED_BAUD = 115200
EDGES_TO_WAKE = 5  # 7.2.11: rising edges on the line
ACK_S, THINK_S = 0.0002, 0.0003  # from the end of a frame to its ACK, and on to the answer; estimates
PING, ROM, RAM, ATTENTION = 0, 1, 2, 6  # Diagnose, 7.2.1


@dataclass(frozen=True)
class Sent:
    """Bytes for the host, `after_s` after what was sent before them or, for the first, after the host's last byte."""

    data: bytes
    after_s: float


def rising_edges(byte: int) -> int:
    """Of one byte on the line, low bit first, between a start bit (0) and a stop bit (1)."""
    bits = "0" + f"{byte:08b}"[::-1] + "1"
    return bits.count("01")


class Pn532:
    """`take` what the host sent and at which speed; what it returns goes to the host at `baud`."""

    def __init__(self, field: Field, faults: Faults) -> None:
        self.field, self._faults = field, faults
        self._radio = Radio(field, faults)
        self._deframer = frames.Deframer()
        self._commands: dict[int, Callable[[bytes], bytes]] = {
            0x00: self._diagnose,
            0x02: lambda _: FIRMWARE,
            0x04: lambda _: self._radio.status() + b"\x00",
            0x06: self._read_registers,
            0x08: self._write_registers,
            0x10: self._set_speed,
            0x12: self._set_parameters,
            0x14: self._configure_sam,
            0x16: self._power_down,
            0x32: self._radio.configure,
            0x40: self._radio.exchange,
            0x42: self._radio.communicate_thru,
            0x44: self._radio.deselect,
            0x4A: self._radio.list_targets,
            0x52: self._radio.release,
            0x54: self._radio.select,
        }
        self.commands = 0
        self.cut_power()

    def cut_power(self) -> None:
        """Without power, and back: asleep at the first speed, nothing configured."""
        self._radio.reset()
        self._deframer.forget()
        self.baud = FIRST_SPEED_BAUD
        self.next_baud = 0  # waits for the host's ACK
        self._edges, self._asleep, self._falls_asleep = 0, True, False
        self._running: frames.Command | None = None
        self._last_answer = b""

    @property
    def waits_for_card(self) -> bool:
        return self._running is not None

    def take(self, data: bytes, baud: int) -> list[Sent]:
        """What the chip sends for bytes that came at this speed; a list from whose start earlier output is void."""
        if baud == self.next_baud and data.startswith(frames.ACK):
            self._on_ack()  # see pn532_tty.py: the host's speed is seen later than its bytes
            data = data[len(frames.ACK) :]
        if baud != self.baud:
            self._deframer.forget()
            return []
        sent: list[Sent] = []
        for event in self._deframer.take(self._awake_part(data)):
            if isinstance(event, frames.Command):
                sent = self._on_command(event)
            else:
                sent = [Sent(self._last_answer, ACK_S)] if event.again else self._on_ack()
        return sent

    def look_again(self) -> list[Sent]:
        """When cards were laid or taken: the answer to a command that waits for one."""
        if self._running is None:
            return []
        return self._answered(self._running)

    def _awake_part(self, data: bytes) -> bytes:
        at = 0
        while self._asleep and at < len(data):
            self._edges += rising_edges(data[at])
            self._asleep = self._edges < EDGES_TO_WAKE
            at += 1
        return data[at:]

    def _on_ack(self) -> list[Sent]:
        self._running = None
        if self.next_baud and not self._faults.strikes("lost_speed_ack"):
            self.baud = self.next_baud
        self.next_baud = 0
        return []

    def _on_command(self, command: frames.Command) -> list[Sent]:
        if self._faults.strikes("no_ack"):
            return []
        self.commands += 1
        self.next_baud = 0
        acknowledged = [] if self._faults.strikes("lost_ack") else [Sent(frames.ACK, ACK_S)]
        return acknowledged + self._answered(command)

    def _answered(self, command: frames.Command) -> list[Sent]:
        self._running = None
        try:
            answer = frames.framed(bytes([frames.TO_HOST, command.code + 1]) + self._execute(command))
        except BadSyntax:
            answer = frames.ERROR
        except Pending:
            self._running = command
            return []
        after_s, self._radio.spent_s = THINK_S + self._radio.spent_s, 0.0
        self._last_answer = answer
        if self._falls_asleep:
            self._edges, self._asleep, self._falls_asleep = 0, True, False
        heard = self._as_heard(answer)
        return [Sent(heard, after_s)] if heard else []

    def _execute(self, command: frames.Command) -> bytes:
        run = self._commands.get(command.code)
        if run is None:
            raise BadSyntax
        return run(command.data)

    def _as_heard(self, answer: bytes) -> bytes:
        """An answer as the line's faults leave it."""
        if self._faults.strikes("lost_answer"):
            return b""
        if self._faults.strikes("bad_checksum"):
            return answer[:-2] + bytes([answer[-2] ^ 0x55]) + answer[-1:]
        return answer[: 1 + self.commands % 3] if self._faults.strikes("short_frame") else answer

    # Commands that reach no card

    def _diagnose(self, data: bytes) -> bytes:
        if data[:1] == bytes([PING]):
            return data
        if data in (bytes([ROM]), bytes([RAM])):
            return b"\x00"
        if data == bytes([ATTENTION]):
            return b"\x00" if self._radio.is_there() else b"\x01"
        raise BadSyntax

    def _read_registers(self, data: bytes) -> bytes:
        if not data or len(data) % 2:
            raise BadSyntax
        addresses = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
        return bytes(self._radio.registers.get(address, 0) for address in addresses)

    def _write_registers(self, data: bytes) -> bytes:
        if not data or len(data) % 3:
            raise BadSyntax
        for at in range(0, len(data), 3):
            self._radio.registers[int.from_bytes(data[at : at + 2], "big")] = data[at + 2]
        return b""

    def _set_speed(self, data: bytes) -> bytes:
        if len(data) != 1 or data[0] >= len(SPEEDS_BAUD):
            raise BadSyntax
        self.next_baud = SPEEDS_BAUD[data[0]]
        return b""

    def _set_parameters(self, data: bytes) -> bytes:
        if len(data) != 1:
            raise BadSyntax
        self._radio.parameters = data[0]
        return b""

    def _configure_sam(self, data: bytes) -> bytes:
        if not 1 <= len(data) <= 3 or not 1 <= data[0] <= 4:
            raise BadSyntax
        self._radio.ready = data[0] == 1
        return b""

    def _power_down(self, data: bytes) -> bytes:
        if not 1 <= len(data) <= 2:
            raise BadSyntax
        self.field.switch(False)
        self._radio.targets = []
        self._falls_asleep = True
        return b"\x00"
