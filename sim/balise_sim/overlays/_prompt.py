"""What a board needs beside _boot.py when somebody types: Ctrl-C, the real clock, the keyboard, a flash image.

Promises: an interrupt at any moment leaves the bridge in step; each look at the clock asks the host, because time
passes at the prompt; select.poll waits for the keyboard, too; sys.stdout.buffer passes bytes as they are, while all
other output gets a board's line ends from the host. Leaves to others: the prompt itself (the VM's), the host's side
of all this (terminal.py and live.py).
"""

import io
import select
import struct
import sys

import _bridge
import uselect
from _streams import Stream
from micropython import const

_SYNC = const(255)
_LISTEN, _DEAF = const(1), const(2)  # whether Ctrl-C may come
_HEADER_BYTES = const(24)
_ROOM_BYTES = const(512)
_STEP_MS = const(20)  # how long a poll listens to the keyboard alone
_BLOCK_BYTES = const(4096)
_MARK = b"\x00\x0f\xff"  # begins what is meant for the host: P the prompt follows, B so many bytes as they are
_TOKENS = const(0x2B15E000000)

# The bridge and Ctrl-C

_plain_call, _plain_call_into = _bridge.call, _bridge.call_into
_whole = True
_owed = 0  # bytes of a payload that may not have been written
_token = _TOKENS


def _call(op, handle=0, small=0, value=0, payload=b""):
    global _whole, _owed
    if not _whole:
        _resynchronise()
    _whole = False
    _owed = len(payload) if len(payload) > _ROOM_BYTES else 0
    try:
        answer = _plain_call(op, handle, small, value, payload)
    except OSError:
        _whole = True
        raise
    _whole = True
    return answer


def _call_into(op, handle, small, payload, target):
    global _whole, _owed
    if not _whole:
        _resynchronise()
    _whole = False
    _owed = 0
    try:
        answer = _plain_call_into(op, handle, small, payload, target)
    except OSError:
        _whole = True
        raise
    _whole = True
    return answer


def _resynchronise():
    """An exception came between a request and its reply: reads on until the answer to a question of its own.

    The host skips zeros between requests, so a payload that had been written whole does no harm.
    """
    global _whole, _token
    _token += 1
    request = bytearray(_owed + _HEADER_BYTES)
    struct.pack_into("<BBHIqq", request, _owed, _SYNC, 0, 0, 0, _bridge.now_us, _token)
    _bridge._link.write(request)
    wanted = struct.pack("<q", _token)
    seen = bytes(_HEADER_BYTES)
    while seen[8:16] != wanted:
        seen = seen[1:] + _bridge._link.read(1)
    _bridge.now_us = struct.unpack("<q", seen)[0]
    _whole = True


def _look():
    _bridge.wait(_bridge.now_us)
    return _bridge.now_us


def _pause(duration_us):
    end_us = _look() + duration_us
    while _bridge.now_us < end_us:
        _bridge.wait(end_us)


_bridge.call, _bridge.call_into, _bridge.look, _bridge.pause = _call, _call_into, _look, _pause


# The keyboard


def _is_the_hosts(obj):
    return not isinstance(obj, Stream) and not hasattr(obj, "ioctl")


class _Poll(select.poll):
    """select.poll of the board, which also takes the streams of the host: sys.stdin."""

    def __init__(self):
        super().__init__()
        self._host = uselect.poll()
        self._hosts = []

    def register(self, obj, eventmask=select.POLLIN | select.POLLOUT):
        super().register(obj, eventmask)
        if _is_the_hosts(obj):
            self._host.register(obj, eventmask)
            self._hosts.append(obj)

    def modify(self, obj, eventmask):
        super().modify(obj, eventmask)
        if obj in self._hosts:
            self._host.modify(obj, eventmask)

    def unregister(self, obj):
        super().unregister(obj)
        if obj in self._hosts:
            self._host.unregister(obj)
            self._hosts.remove(obj)

    def _ready(self):
        ready = super()._ready()
        return ready + self._host.poll(0) if self._hosts else ready

    def _ask(self, until_us):
        if not self._hosts:
            super()._ask(until_us)
            return
        left_ms = _STEP_MS if until_us < 0 else max(0, min(_STEP_MS, (until_us - _bridge.now_us) // 1000))
        self._host.poll(left_ms)
        super()._ask(_bridge.now_us)


select.poll = _Poll


class _Bytes(io.IOBase):
    def __init__(self, inner):
        self._inner = inner

    def write(self, data, *extent):
        """As MicroPython's: all of it, `size` bytes, or `offset` and `size`."""
        if extent:
            offset = extent[0] if len(extent) > 1 else 0
            data = memoryview(data)[offset : offset + extent[-1]]
        self._inner.write(_MARK + b"B" + struct.pack("<I", len(data)) + data)
        return len(data)


class _Out(io.IOBase):
    def __init__(self, inner):
        self._inner = inner
        self.buffer = _Bytes(inner.buffer)

    def write(self, data):
        return self._inner.write(data)


# The flash image


class _Image:
    """A block device on an open file of the host. It allocates nothing: finalisers call it, too."""

    def __init__(self, file, blocks):
        self._file, self._blocks = file, blocks

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self._blocks
        if op == 5:
            return _BLOCK_BYTES
        return 0


def image(files):
    """The file system in the image; a blank one is formatted and gets the files of the board's folder."""
    import vfs

    block = bytearray(_BLOCK_BYTES)
    file = open(_bridge.settings["image"], "r+b", buffering=0)  # noqa: SIM115 - open as long as the board lives
    device = _Image(file, _bridge.settings["flash_bytes"] // _BLOCK_BYTES)
    device.readblocks(0, block)
    if block != b"\xff" * _BLOCK_BYTES:
        return vfs.VfsLfs2(device)
    vfs.VfsLfs2.mkfs(device)
    flash = vfs.VfsLfs2(device)
    _copy(files, flash, "")
    return flash


def _copy(files, flash, folder):
    for entry in files.ilistdir(folder or "/"):
        path = folder + "/" + entry[0]
        if entry[1] & 0x4000:
            flash.mkdir(path)
            _copy(files, flash, path)
            continue
        with files.open(path, "rb") as source, flash.open(path, "wb") as target:
            target.write(source.read())


def run(run_file):
    """boot.py and main.py with the prompt's own names, as on a board."""
    sys.modules["sys"].stdout = out = _Out(sys.stdout)
    names = __import__("__main__").__dict__
    try:
        _bridge.call(_SYNC, 0, _LISTEN)
        if run_file("boot.py", names) and not _bridge.settings["raw"]:
            run_file("main.py", names)
    except KeyboardInterrupt as interrupt:
        sys.print_exception(interrupt)
    deaf = False
    while not deaf:  # what comes now would keep the prompt from being marked
        try:
            _bridge.call(_SYNC, 0, _DEAF)
            deaf = True
        except KeyboardInterrupt:
            pass
    out._inner.write(_MARK + b"P")
