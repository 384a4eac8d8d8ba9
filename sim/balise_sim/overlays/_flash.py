"""The board's file system: the root of the host seen through the rules of littlefs.

Promises: every change is told to the host before it happens, so that power can go at that moment; what was written and
not flushed or closed is lost then, as on littlefs. Leaves to others: keeping what was there before (the host).
"""

import io

import _bridge
from micropython import const

_OPEN, _SYNC, _CHANGE, _USAGE = const(0), const(1), const(2), const(3)
_BLOCK_BYTES = const(4096)
_FLUSH, _CLOSE = const(1), const(4)  # MP_STREAM_FLUSH, MP_STREAM_CLOSE


class Flash:
    """A VFS for vfs.mount, around a VfsPosix."""

    def __init__(self, inner):
        self._inner = inner
        self.chdir = inner.chdir
        self.getcwd = inner.getcwd

    def mount(self, readonly, mkfs):
        self._inner.mount(readonly, mkfs)

    def umount(self):
        self._inner.umount()

    def open(self, path, mode):
        if "w" not in mode and "a" not in mode and "+" not in mode and "x" not in mode:
            return self._inner.open(path, mode)
        whole = self._absolute(path)
        _bridge.call(_bridge.FLASH, 0, _OPEN, 1 if mode[0] == "a" else 0, whole.encode())
        return _File(self._inner.open(path, mode), whole)

    def ilistdir(self, path):
        base = self._absolute(path)
        for entry in sorted(self._inner.ilistdir(path)):  # littlefs keeps directories in order
            yield (entry[0], entry[1], 0, self._inner.stat(base.rstrip("/") + "/" + entry[0])[6])

    def stat(self, path):
        """Mode and size; the host's owners and times are none of the board's."""
        found = self._inner.stat(path)
        return (found[0], 0, 0, 0, 0, 0, found[6], 0, 0, 0)

    def mkdir(self, path):
        self._change(path)
        self._inner.mkdir(path)

    def remove(self, path):
        self._change(path)
        self._inner.remove(path)

    def rename(self, old_path, new_path):
        self._change(new_path)
        old_path, new_path, here = self._absolute(old_path), self._absolute(new_path), self._inner.getcwd()
        self._inner.chdir("/")  # VfsPosix has one buffer for absolute paths: of two, the first would be lost
        try:
            self._inner.rename(old_path[1:], new_path[1:])
        finally:
            self._inner.chdir(here or "/")  # VfsPosix calls its root ""

    def rmdir(self, path):
        self._change(path)
        self._inner.rmdir(path)

    def statvfs(self, path):
        used = -(-_bridge.call(_bridge.FLASH, 0, _USAGE) // _BLOCK_BYTES)
        blocks = _bridge.settings["flash_bytes"] // _BLOCK_BYTES
        free = max(0, blocks - used)
        return (_BLOCK_BYTES, _BLOCK_BYTES, blocks, free, free, 0, 0, 0, 0, 255)

    def _change(self, path):
        _bridge.call(_bridge.FLASH, 0, _CHANGE, 0, self._absolute(path).encode())

    def _absolute(self, path):
        return path if path.startswith("/") else self._inner.getcwd().rstrip("/") + "/" + path


class _File(io.IOBase):
    """A file that was opened for writing."""

    def __init__(self, inner, path):
        self._inner, self._path = inner, path
        for name in ("read", "readinto", "readline", "readlines", "seek", "tell", "write"):
            setattr(self, name, getattr(inner, name))

    def flush(self):
        _bridge.call(_bridge.FLASH, 0, _SYNC, 0, self._path.encode())

    def close(self):
        if self._inner:
            _bridge.call(_bridge.FLASH, 0, _SYNC, 1, self._path.encode())
            self._inner.close()
            self._inner = None

    def ioctl(self, request, argument):
        if request == _FLUSH:
            self.flush()
        elif request == _CLOSE:
            self.close()
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line
