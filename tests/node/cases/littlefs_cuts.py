"""The store's whole life on littlefs in a RAM flash whose power fails at the n-th program or erase, for every n."""

import os

import micropython
from store_cases import KID, frame_of

from balise_node.boots import next_boot
from balise_node.store import HELLO, ROW, FrameStore, StoreFull
from balise_wire.window import Window

BLOCK_BYTES = 4096
BLOCKS = 16
FRAME_BYTES = 500


@micropython.viper
def copy_bytes(to: ptr8, to_at: int, source: ptr8, source_at: int, size: int):  # noqa: F821 (viper's own types)
    for i in range(size):
        to[to_at + i] = source[source_at + i]


@micropython.viper
def erase_bytes(to: ptr8, at: int, size: int):  # noqa: F821
    for i in range(size):
        to[at + i] = 0xFF


class Flash:
    """A block device of MicroPython (extended interface), made of RAM. Allocates nothing: finalisers call it, too."""

    def __init__(self) -> None:
        self.data = bytearray(b"\xff" * (BLOCK_BYTES * BLOCKS))
        self.writes_left = -1  # power for so many program or erase operations; negative: for ever
        self.writes = 0
        self.torn_write = -1

    def _use_power(self) -> bool:
        self.writes += 1
        if self.writes_left == 0:
            return False
        self.writes_left -= 1
        return True

    def readblocks(self, block: int, buf: bytearray, offset: int = 0) -> int:
        copy_bytes(buf, 0, self.data, block * BLOCK_BYTES + offset, len(buf))
        return 0

    def writeblocks(self, block: int, buf: bytes, offset: int = 0) -> int:
        powered = self.writes_left != 0
        torn = self.writes == self.torn_write  # the one that the power fails in is torn in its middle
        if self._use_power() or torn:
            copy_bytes(self.data, block * BLOCK_BYTES + offset, buf, 0, len(buf) if powered else len(buf) // 2)
        return 0 if powered else -5

    def ioctl(self, op: int, arg: int) -> int:
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            if not self._use_power():
                return -5
            erase_bytes(self.data, arg * BLOCK_BYTES, BLOCK_BYTES)
        return 0


def mount(flash: Flash) -> None:
    os.mount(os.VfsLfs2(flash), "/flash")


def story(flash: Flash) -> tuple[list[int], int]:
    """Keeps, releases and copies until the power fails; returns which counts must still be there, and the boot."""
    must_hold: list[int] = []
    boots = [0]
    try:
        mount(flash)
        boots.append(next_boot(("/flash/boot", "/flash/boot.bak")))
        keep_and_release(must_hold)
    except (OSError, StoreFull):
        pass  # the power is gone: nothing is closed
    return must_hold, boots[-1]


def keep_and_release(must_hold: list[int]) -> None:
    kept = FrameStore("/flash/frames.bin", KID, 40000)
    kept.open()
    for count in range(1, 15):
        kept.append(HELLO if count == 1 else ROW, 5, count, frame_of(count, FRAME_BYTES))
        must_hold.append(count)
    must_hold[:] = must_hold[10:]
    kept.release(5, Window(10))
    while kept.tidy():
        pass
    for count in range(15, 18):
        kept.append(ROW, 5, count, frame_of(count, FRAME_BYTES))
        must_hold.append(count)


def check(flash: Flash, must_hold: list[int], boot: int) -> int:
    """Power is back: everything that was kept is there, nothing else, and no boot number comes twice.

    On a copy: files that the dead board had open must not reach its flash when their memory is collected.
    """
    revived = Flash()
    revived.data[:] = flash.data
    mount(revived)
    assert next_boot(("/flash/boot", "/flash/boot.bak")) > boot
    kept = FrameStore("/flash/frames.bin", KID, 40000)
    kept.open()
    counts = []
    while kept.entries():
        for entry in kept.entries():
            assert kept.read(entry) == frame_of(entry.count, FRAME_BYTES), entry
            counts.append(entry.count)
            kept.release(5, Window(entry.count))
    missing = [count for count in must_hold if count not in counts]
    assert not missing, missing
    assert counts == sorted(set(counts)), counts
    kept.close()
    os.umount("/flash")
    return len(must_hold)


def main() -> None:
    whole = Flash()
    os.VfsLfs2.mkfs(whole)
    blank = bytes(whole.data)
    whole.writes = 0
    story(whole)
    os.umount("/flash")
    held = 0
    for power in range(whole.writes):
        flash = Flash()
        flash.data[:] = blank
        flash.writes_left = flash.torn_write = power
        must_hold, boot = story(flash)
        try:
            os.umount("/flash")
        except OSError:
            pass  # the power failed before it was mounted
        held += check(flash, must_hold, boot)
    print(whole.writes, held)
