"""The files of an NTAG 424 DNA: what lies in them, who may do what, and a URL turned into settings of SDM.

Promises the factory's content and rights (NT4H2421Gx, 8.2.3 and table 8) and GetFileSettings' bytes. Leaves who asks
to ntag424.py.
"""

from dataclasses import dataclass

from balise_sim.nfc.cards import _sdm
from balise_sim.nfc.cards._sdm import FREE, NEVER, Sdm

CC_ID, NDEF_ID, DATA_ID = 0xE103, 0xE104, 0xE105
FACTORY_CC = bytes.fromhex("001720010000ff0406e104010000000506e10500808283").ljust(32, b"\x00")
PLAIN, MACED, FULL = 0, 1, 3
WITH_SDM = 0x40
NDEF_NUMBER = 2
TEXT_AT = 2 + 4 + 1  # of a URI record: the file's length, the record's head, the code of its prefix
MIRRORS = {
    "picc": _sdm.PICC_TEXT,
    "uid": _sdm.UID_TEXT,
    "ctr": _sdm.COUNTER_TEXT,
    "enc": _sdm.PICC_TEXT,
    "cmac": _sdm.MAC_TEXT,
}


@dataclass
class File:
    """A file and who may do what with it: keys 0 to 4, FREE or NEVER."""

    number: int
    content: bytearray
    read: int
    write: int
    read_write: int
    change: int
    mode: int = PLAIN
    sdm: Sdm | None = None
    counter: int = 0

    @property
    def settings(self) -> bytes:
        """What GetFileSettings answers (10.7.2)."""
        rights = bytes([self.read_write << 4 | self.change, self.read << 4 | self.write])
        option = self.mode | (0x40 if self.sdm else 0)
        size = len(self.content).to_bytes(3, "little")
        return bytes([0, option]) + rights + size + (self.sdm.encoded() if self.sdm else b"")

    def change_settings(self, data: bytes) -> None:
        """As ChangeFileSettings carries them (10.7.1). Raises BadSettings, and changes nothing then."""
        if len(data) < 3 or data[0] & ~(WITH_SDM | FULL) or data[0] & FULL == 2:
            raise _sdm.BadSettings("no such file option")
        sdm = None
        if data[0] & WITH_SDM:
            if self.number != NDEF_NUMBER:
                raise _sdm.BadSettings("SDM is for the NDEF file")
            sdm = _sdm.decoded(data[3:], len(self.content))
        elif len(data) > 3:
            raise _sdm.BadSettings("too long")
        if sdm is not None and self.sdm is None:
            self.counter = 0
        self.mode, self.sdm = data[0] & FULL, sdm
        self.read_write, self.change = data[1] >> 4, data[1] & 0xF
        self.read, self.write = data[2] >> 4, data[2] & 0xF


def factory_files() -> dict[int, File]:
    """By their ISO identifiers."""
    return {
        CC_ID: File(1, bytearray(FACTORY_CC), FREE, 0, 0, 0),
        NDEF_ID: File(NDEF_NUMBER, bytearray(256), FREE, FREE, FREE, 0),
        DATA_ID: File(3, bytearray(128), 2, 3, 3, 0, FULL),
    }


def sun(template: str, meta_key: int, file_key: int) -> tuple[bytes, Sdm]:
    """The payload of a URI record and the settings for a URL with {picc}, {uid}, {ctr}, {enc} and {cmac} in it.

    Zeros stand where the chip will fill in. Raises KeyError for another name, ValueError for what SDM cannot do.
    """
    text, places = "", {}
    for number, part in enumerate(template.replace("}", "{").split("{")):
        if number % 2:
            places[part] = TEXT_AT + len(text)
        text += "0" * MIRRORS[part] if number % 2 else part
    if "picc" in places and {"uid", "ctr"} & places.keys():
        raise ValueError("UID and counter are mirrored either plain or encrypted in {picc}")
    if "enc" in places and "cmac" not in places:
        raise ValueError("{enc} needs a {cmac}")
    encrypted = "picc" in places
    options = _sdm.ASCII | (_sdm.ENCRYPTED_FILE if "enc" in places else 0)
    options |= _sdm.UID if encrypted or "uid" in places else 0
    options |= _sdm.COUNTER if encrypted or "ctr" in places else 0
    given = {"uid_at": "uid", "counter_at": "ctr", "picc_at": "picc", "enc_at": "enc", "mac_at": "cmac"}
    sdm = Sdm(
        options,
        meta_key if encrypted else FREE,
        file_key if "cmac" in places else NEVER,
        file_key,
        mac_input_at=places.get("enc", places.get("cmac", _sdm.UNUSED)),
        enc_length=_sdm.PICC_TEXT if "enc" in places else 0,
        **{field: places[name] for field, name in given.items() if name in places},
    )
    return b"\x00" + text.encode(), sdm
