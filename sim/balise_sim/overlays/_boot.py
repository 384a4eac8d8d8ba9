"""Turns a bare VM into a board, then runs boot.py and main.py from its root as a board does.

Promises: firmware sees the board's modules, its root at `/` and nothing of the host; how main.py ended is told to the
host. Leaves to others: what the board is (the host's answer to HELLO).
"""

import gc
import json
import random
import sys

import _bridge
from _flash import Flash

_SHADOWED = ("machine", "network", "onewire", "os", "select", "socket", "time")
_FINISHED, _RAISED, _OUT_OF_MEMORY = 0, 1, 2
_TO_SOFT_RESET = 3
_REPORT_CHARS = 300


class _Proxy:
    """A built-in module with some attributes of the board's."""

    def __init__(self, module, **attributes):
        self._module = module
        for name in attributes:
            setattr(self, name, attributes[name])

    def __getattr__(self, name):
        return getattr(self._module, name)


def _hello():
    _bridge.call(_bridge.HELLO, 0, 0, 0, sys.version.encode())
    _bridge.settings.update(json.loads(_bridge.reply()))
    _bridge.rtc_us = _bridge.settings["rtc_us"]
    random.seed(_bridge.settings["seed"])


def _shadow():
    for name in _SHADOWED:
        module = __import__(name)
        sys.modules[name] = sys.modules["u" + name] = module
    sys.modules["_asyncio"] = __import__("_tasks")
    settings = _bridge.settings
    platform = settings["platform"]
    implementation = _Proxy(sys.implementation, _machine=settings["machine"])
    sys.modules["sys"] = sys.modules["usys"] = _Proxy(sys, platform=platform, implementation=implementation)


def _shadow_gc():
    gc.collect()
    baseline = gc.mem_alloc()
    board_gc = _Proxy(gc, mem_alloc=lambda: gc.mem_alloc() - baseline)
    sys.modules["gc"] = board_gc
    _bridge.call(_bridge.READY, 0, 0, baseline)


def _mount():
    import vfs

    vfs.umount("/")
    vfs.mount(Flash(vfs.VfsPosix(_bridge.settings["root"])), "/")
    sys.modules["os"].chdir("/")
    sys.path[:] = ("", ".frozen", "/lib")
    sys.argv[:] = ("",)


def _run(name):
    """Runs a file of the root when it is there; True when the board goes on to the next one."""
    if name not in sys.modules["os"].listdir("/"):
        return True
    try:
        execfile(name, {"__name__": "__main__", "__file__": name})  # noqa: F821 - a built-in of MicroPython
    except SystemExit:
        _bridge.call(_bridge.RESET, 0, _TO_SOFT_RESET)
    except BaseException as failure:  # noqa: BLE001 - the top of the board: shown as the REPL shows it
        _report(failure)
        return False
    return True


def _report(failure):
    kind = _OUT_OF_MEMORY if isinstance(failure, MemoryError) else _RAISED
    sys.print_exception(failure)
    gc.collect()
    _bridge.call(_bridge.FINISH, 0, kind, gc.mem_free(), repr(failure)[:_REPORT_CHARS].encode())


_hello()
_shadow()
_mount()
_shadow_gc()
if _run("boot.py") and _run("main.py"):
    _bridge.call(_bridge.FINISH, 0, _FINISHED, gc.mem_free())
while True:  # the prompt, where nobody types
    _bridge.wait(_bridge.FOREVER)
