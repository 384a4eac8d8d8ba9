"""The world's clock in a file that other processes map: what time it is, and who is not ready for a later one.

Promises: a reader's time never goes back and never passes the limit that the world last published; a reader that is
killed and started again goes on with the same clock. Leaves to others: making loops of it (pace.py).

The world writes (time, moment of the real clock, limit, pace). In between, readers let time pass at that pace up to
the limit. Each reader has a slot with a promise: the earliest time at which it has something to do. The world does not
run far past a promise, so a busy machine slows the simulation down and does not make anybody late.
"""

import fcntl
import mmap
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple, Self

FORMAT = 0x42A1_0001
SIZE_BYTES = 4096
HEAD = struct.Struct("<QQ")  # format, start of the world as UTC in milliseconds
COUNT, COUNT_AT = struct.Struct("<Q"), HEAD.size
STATE, STATE_AT = struct.Struct("<qqqd"), COUNT_AT + COUNT.size  # time, real clock, limit, pace
SLOT, SLOTS_AT, SLOTS = struct.Struct("<qq"), 128, 16  # process, promise in microseconds
NEVER_US = (1 << 62) - 1
TRIES = 1000


class ClockError(Exception):
    """A shared clock that cannot be used; the text names the file."""


class Published(NamedTuple):
    """What the world last wrote."""

    now_us: int
    real_ns: int
    limit_us: int
    pace: float

    def at(self, real_ns: int) -> int:
        """The world's time at that moment of the real clock."""
        return min(self.now_us + int((real_ns - self.real_ns) * self.pace / 1000), max(self.limit_us, self.now_us))


class SharedClock:
    """The mapped file. The world makes it, everybody else opens it."""

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self._memory = memory
        self._slot: int | None = None
        self._count = 0
        self._last_us = 0

    @classmethod
    def make(cls, path: Path, start_utc_ms: int) -> Self:
        """A new clock at time 0; an old file of that name is replaced."""
        fresh = path.with_suffix(".new")
        fresh.write_bytes(HEAD.pack(FORMAT, start_utc_ms).ljust(SIZE_BYTES, b"\0"))
        fresh.rename(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises ClockError when the file is no clock of ours."""
        try:
            with path.open("r+b") as file:
                memory = mmap.mmap(file.fileno(), SIZE_BYTES)
        except (OSError, ValueError) as failure:
            raise ClockError(f"{path}: no shared clock ({failure}); is the world running?") from failure
        if HEAD.unpack_from(memory)[0] != FORMAT:
            raise ClockError(f"{path}: not a shared clock, or one of another version")
        return cls(path, memory)

    @property
    def start_utc_ms(self) -> int:
        return int(HEAD.unpack_from(self._memory)[1])

    def close(self) -> None:
        if self._slot is not None:
            SLOT.pack_into(self._memory, self._slot, 0, NEVER_US)
        self._memory.close()

    # The world

    def publish(self, now_us: int, limit_us: int, pace: float) -> None:
        """Odd counts mean that the state is being written."""
        self._count += 1
        COUNT.pack_into(self._memory, COUNT_AT, self._count)
        STATE.pack_into(self._memory, STATE_AT, now_us, time.monotonic_ns(), limit_us, pace)
        self._count += 1
        COUNT.pack_into(self._memory, COUNT_AT, self._count)

    def promises(self) -> dict[int, int]:
        """Process to the earliest time at which it has something to do."""
        slots = self._memory[SLOTS_AT : SLOTS_AT + SLOTS * SLOT.size]
        return {pid: promise_us for pid, promise_us in SLOT.iter_unpack(slots) if pid}

    # Everybody else

    def read(self) -> Published:
        for _ in range(TRIES):
            before = COUNT.unpack_from(self._memory, COUNT_AT)[0]
            state = Published(*STATE.unpack_from(self._memory, STATE_AT))
            if before % 2 == 0 and before == COUNT.unpack_from(self._memory, COUNT_AT)[0]:
                return state
            time.sleep(0)
        raise ClockError(f"{self.path}: the world stopped in the middle of writing its clock")

    def now_us(self) -> int:
        """The world's time as far as this process may know it."""
        self._last_us = max(self._last_us, self.read().at(time.monotonic_ns()))
        return self._last_us

    def utc_ms(self) -> int:
        return self.start_utc_ms + self.now_us() // 1000

    def promise(self, at_us: int) -> None:
        """Nothing to do here before `at_us`."""
        if self._slot is None:
            self._slot = self._take_slot()
        SLOT.pack_into(self._memory, self._slot, os.getpid(), at_us)

    def _take_slot(self) -> int:
        with self.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for at in range(SLOTS_AT, SLOTS_AT + SLOTS * SLOT.size, SLOT.size):
                pid = SLOT.unpack_from(self._memory, at)[0]
                if not pid or not _is_alive(pid):
                    SLOT.pack_into(self._memory, at, os.getpid(), 0)
                    return at
        raise ClockError(f"{self.path}: {SLOTS} processes follow this clock already")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
