"""Adafruit's driver for the PN532, unchanged, on our chip: a second one by another hand, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import ndef

from balise_sim.nfc.cards import ntag21x
from balise_sim.nfc.pn532_tty import Pn532Tty

STRANGERS = Path(sys.prefix) / "strangers"
UID = bytes.fromhex("04a1b2c3d4e5f6")
PROGRAM = """
import json, sys, types
import serial

built_in = {"digitalio": ("Direction", "DigitalInOut"), "busio": ("UART",), "micropython": ("const",)}
for name, names in built_in.items():  # of CircuitPython
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(dict.fromkeys(names, int))
sys.path.append(sys.argv[2])
from adafruit_pn532.uart import PN532_UART

chip = PN532_UART(serial.Serial(sys.argv[1], 115200, timeout=0.1))  # as its example has it
said = [list(chip.firmware_version), bytes(chip.read_passive_target(timeout=20)).hex()]
said.append([bytes(chip.ntag2xx_read_block(page)).hex() for page in range(4, 8)])
said.append(chip.ntag2xx_write_block(8, bytes([1, 2, 3, 4])))
said.append(bytes(chip.ntag2xx_read_block(8)).hex())
said.append(chip.ntag2xx_read_block(0xF0))
print(json.dumps(said))
"""


def test_adafruits_driver_reads_and_writes_a_tag(reader: Pn532Tty) -> None:
    card = ntag21x.Model(UID)
    card.set_ndef(b"".join(ndef.message_encoder([ndef.UriRecord("https://pass.example")])))
    reader.lay(card)
    command = [sys.executable, "-c", PROGRAM, str(reader.path), str(STRANGERS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    version, uid, pages, written, read_back, beyond = json.loads(done.stdout)
    assert version == [0x32, 1, 6, 7]
    assert bytes.fromhex(uid) == UID
    assert bytes.fromhex("".join(pages)) == card.memory[16:32]
    assert (written, read_back, beyond) == (True, "01020304", None)
