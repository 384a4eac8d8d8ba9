"""A small process that has the MicroPython extension loaded and forks a VM from it for every boot.

Run as `python -m balise_sim.zygote` with its control socket as file descriptor 0. Promises: a VM starts with the bridge
as fd 3, the console as 1 and 2, and nothing else of this process; when the world ends, however it ends, no VM is left.
Leaves to others: what a VM runs and when it ends. It has one thread and imports little, so that forking is safe.

Each request is one message: a JSON array, answered by one JSON message.
["spawn", argv, terminal] with two descriptors (bridge, console) -> {"pid": n}; a console that is a terminal is
read as well, and its Ctrl-C interrupts the VM
["end", pid, signal] sends the signal (0: none), waits for the end -> {"status": exit status, negative for a signal}
["pin", core] keeps this process and later VMs on one core -> {}
"""

import array
import fcntl
import json
import os
import signal
import socket
import sys
import termios
from collections.abc import Callable
from typing import Any

CONTROL_FD, BRIDGE_FD = 0, 3
MESSAGE_BYTES = 65536
NO_EXTENSION_STATUS = 3

RunMain = Callable[[list[str]], int]


def load_vm() -> RunMain:
    """The VM's entry point. Raises ImportError when the extension is not installed."""
    from micropython_module import run_main  # type: ignore[import-not-found]

    return run_main  # type: ignore[no-any-return]


def take_terminal() -> None:
    """Descriptor 0 becomes the terminal of this process; until the VM listens, Ctrl-C is lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Zygote:
    """Answers requests on its control socket until that closes."""

    def __init__(self, control: socket.socket, run_main: RunMain) -> None:
        self._control, self._run_main = control, run_main
        self._alive: set[int] = set()

    def serve(self) -> None:
        while request := self._receive():
            (what, *details), descriptors = request
            if what == "spawn":
                answer = {"pid": self._spawn(details[0], details[1], descriptors)}
            elif what == "end":
                answer = {"status": self._end(*details)}
            else:
                os.sched_setaffinity(0, {details[0]})
                answer = {}
            self._control.send(json.dumps(answer).encode())
        for pid in list(self._alive):
            self._end(pid, signal.SIGKILL)

    def _receive(self) -> tuple[list[Any], list[int]] | None:
        descriptors = array.array("i")
        message, ancillary, _, _ = self._control.recvmsg(MESSAGE_BYTES, socket.CMSG_LEN(2 * descriptors.itemsize))
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content)
        return (json.loads(message), list(descriptors)) if message else None

    def _spawn(self, argv: list[str], terminal: bool, descriptors: list[int]) -> int:
        pid = os.fork()
        if pid == 0:
            self._become_vm(argv, terminal, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._alive.add(pid)
        return pid

    def _become_vm(self, argv: list[str], terminal: bool, bridge: int, console: int) -> None:
        keyboard = console if terminal else os.open(os.devnull, os.O_RDONLY)
        first_free = max(bridge, console, keyboard, BRIDGE_FD) + 1  # above all targets, so that none is overwritten
        sources = [os.dup2(source, first_free + at) for at, source in enumerate((keyboard, console, console, bridge))]
        for target, source in enumerate(sources):
            os.dup2(source, target)
        os.closerange(BRIDGE_FD + 1, first_free + len(sources))
        if terminal:
            take_terminal()
        os._exit(self._run_main(argv))

    def _end(self, pid: int, signal_number: int) -> int:
        if signal_number:
            os.kill(pid, signal_number)
        _, status = os.waitpid(pid, 0)
        self._alive.discard(pid)
        return os.waitstatus_to_exitcode(status)


def main() -> int:
    try:
        run_main = load_vm()
    except ImportError:
        return NO_EXTENSION_STATUS
    control = socket.socket(fileno=CONTROL_FD)
    control.send(b"{}")
    Zygote(control, run_main).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
