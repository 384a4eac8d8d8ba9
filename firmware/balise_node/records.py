"""Records of the frame store: whole or not there, and found again after damage.

A record: mark 0xB5, kind, length of the frame (2 bytes), boot (4), count (4), CRC-32 of these 12 bytes and the frame
(4), the frame; big-endian. Leaves to store.py what is written where, and when.
"""

import binascii
import os
import struct

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from typing import BinaryIO

    Record = tuple[int, int, int, int]  # where it lies, length of its frame, boot, count

MAX_FRAME_BYTES = 2048
RECORD_BYTES = 16  # before the frame
_FORMAT = ">BBHIII"
_MARK = 0xB5
_LOOK_BYTES = 256


def pack_record(kind: int, boot: int, count: int, frame: bytes) -> bytes:
    """One record as it lies in the file."""
    head = struct.pack(">BBHII", _MARK, kind, len(frame), boot, count)
    return head + struct.pack(">I", binascii.crc32(frame, binascii.crc32(head))) + frame


def read_record(file: "BinaryIO", at: int) -> "Record | None":
    """The record at a place, None when there is no whole one."""
    file.seek(at)
    head = file.read(RECORD_BYTES)
    if len(head) < RECORD_BYTES or head[0] != _MARK:
        return None
    _mark, _kind, length, boot, count, crc = struct.unpack(_FORMAT, head)
    if length > MAX_FRAME_BYTES:
        return None
    frame = file.read(length)
    if len(frame) < length or binascii.crc32(frame, binascii.crc32(head[:12])) != crc:
        return None
    return at, length, boot, count


def find_record(file: "BinaryIO", at: int, end: int) -> int:
    """The place of the next whole record after damage, or the end."""
    while at < end:
        file.seek(at)
        found = file.read(_LOOK_BYTES).find(b"\xb5")
        if found < 0:
            at += _LOOK_BYTES
        elif read_record(file, at + found) is None:
            at += found + 1
        else:
            return at + found
    return end


def exists(path: str) -> bool:
    """Is there such a file?"""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def replace(path: str, by_path: str) -> None:
    """Rename over what may stand there; littlefs and POSIX do it in one step, FAT by removing first."""
    try:
        os.rename(path, by_path)
    except OSError:
        os.remove(by_path)
        os.rename(path, by_path)
