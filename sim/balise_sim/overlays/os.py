"""`os` of the board: its files, its name, its flash; nothing of the host.

Promises: the root is the board's file system, random bytes come from the world's seed. Leaves to others: mounting.
"""

import _bridge
from micropython import const
from uos import chdir, getcwd, ilistdir, listdir, mkdir, mount, remove, rename, rmdir, stat, umount, unlink
from uos import statvfs as _statvfs

__all__ = (
    "chdir",
    "getcwd",
    "ilistdir",
    "listdir",
    "mkdir",
    "mount",
    "remove",
    "rename",
    "rmdir",
    "stat",
    "umount",
    "unlink",
)

sep = "/"
_BLOCK_BYTES = const(4096)


def statvfs(path):
    """The board's flash; how much of it is used is not known here, so free space is all of it."""
    _statvfs(path)
    blocks = _bridge.settings["flash_bytes"] // _BLOCK_BYTES
    return (_BLOCK_BYTES, _BLOCK_BYTES, blocks, blocks, blocks, 0, 0, 0, 0, 255)


def sync():
    pass


def uname():
    settings = _bridge.settings
    return (settings["platform"], settings["platform"], settings["release"], settings["version"], settings["machine"])


def urandom(n):
    _bridge.call(_bridge.RANDOM, 0, 0, n)
    return _bridge.data
