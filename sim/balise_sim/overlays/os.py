"""`os` of the board: its files, its name, its flash; nothing of the host.

Promises: the root is the board's file system, random bytes come from the world's seed. Leaves to others: mounting.
"""

import _bridge
from uos import chdir, getcwd, ilistdir, listdir, mkdir, mount, remove, rename, rmdir, stat, statvfs, umount, unlink

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
    "statvfs",
    "umount",
    "unlink",
)

sep = "/"


def sync():
    pass


def uname():
    settings = _bridge.settings
    return (settings["platform"], settings["platform"], settings["release"], settings["version"], settings["machine"])


def urandom(n):
    found = b""
    while len(found) < n:
        _bridge.call(_bridge.RANDOM, 0, 0, min(n - len(found), _bridge.REPLY_BYTES))
        found += _bridge.reply()
    return found
