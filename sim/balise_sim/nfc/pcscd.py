"""The real pcscd with one virtual reader, private to a test: no other program sees it, and it sees no other reader.

Promises that programs which get `environment` talk to this pcscd and no other, and that cards laid on `slot` appear in
its first reader, READER. vpcd listens on all interfaces; so both run in a network of their own (`unshare`), and
a process in there carries each card's line from a socket in `folder` to vpcd's port. Needs the Debian packages pcscd
and vsmartcard-vpcd, and a kernel that lets us make namespaces. Leaves cards to vpcd.py.

    with Pcscd(folder) as pcscd:
        pcscd.slot.lay(card)
        subprocess.run([sys.executable, "-c", program], env={**os.environ, **pcscd.environment})

libpcsclite looks at its environment once in a process: give each Pcscd a process of its own for its programs.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from balise_sim.nfc.vpcd import Slot

PROGRAM = "/usr/sbin/pcscd"
DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
READER = "Virtual PCD 00 00"
PORT = 35963
CONFIGURATION = f"""FRIENDLYNAME "Virtual PCD"
DEVICENAME   /dev/null:{PORT:#06x}
LIBPATH      {DRIVER}
CHANNELID    {PORT:#06x}
"""
SOCKET_NAME = "PCSCLITE_CSOCK_NAME"  # where libpcsclite looks for its pcscd
PATIENCE_S, LOOK_S = 30.0, 0.01
INTERFACE_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # netdevice(7): SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
SYSTEM_SCOPE, EMPTY = 2, 0x10  # pcsclite.h: SCARD_SCOPE_SYSTEM, SCARD_STATE_EMPTY
CHUNK_BYTES = 4096
LONGEST_PATH_BYTES = 100  # unix(7): sun_path has 108, for our name in the folder too


class Pcscd:
    """`folder` holds its sockets and configuration; its path must be short, as sockets' are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sockets = folder / "run"
        self._cards = self._sockets / "cards"
        self._process: subprocess.Popen[bytes] | None = None
        self.slot = Slot(self._connect)

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs in its environment to find this pcscd."""
        return {SOCKET_NAME: str(self._sockets / "pcscd.comm")}

    def __enter__(self) -> "Pcscd":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when it can be used. Raises FileNotFoundError with the package that is missing."""
        for path, package in ((PROGRAM, "pcscd"), (DRIVER, "vsmartcard-vpcd")):
            if not Path(path).exists():
                raise FileNotFoundError(f"{path} is missing: on Debian, apt-get install {package}")
        if len(os.fsencode(self._cards)) > LONGEST_PATH_BYTES:
            raise ValueError(f"{self._folder} is too long a path for sockets in it")
        self._sockets.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "readers"
        configuration.mkdir(exist_ok=True)
        (configuration / "vpcd").write_text(CONFIGURATION, encoding="ascii")
        apart = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        command = [*apart, sys.executable, "-m", "balise_sim.nfc.pcscd", str(self._folder)]
        ours = {name: value for name, value in os.environ.items() if name != SOCKET_NAME}  # another one's is not ours
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=ours, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            _, said = self._process.communicate()
            raise RuntimeError(f"pcscd does not start: {said.decode(errors='replace').strip()[-500:]}")

    def kill(self) -> None:
        """As if it had crashed; `start` begins anew. Nothing happens when it does not run."""
        self.slot.take_away()
        process, self._process = self._process, None
        if process is not None:
            process.communicate()  # closes its input, at which it ends
            shutil.rmtree(self._sockets)

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(self._cards))
        return line


def main(folder: Path) -> None:
    """In namespaces of our own: pcscd, and lines from the folder's socket to vpcd, until our input ends."""
    _loopback_up()
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    os.mkdir("/run/pcscd")
    subprocess.run(["mount", "--bind", str(folder / "run"), "/run/pcscd"], check=True)
    command = [PROGRAM, "--foreground", "--critical", "--config", str(folder / "readers")]
    quiet = subprocess.DEVNULL
    with socket.socket(socket.AF_UNIX) as listener, subprocess.Popen(command, stdin=quiet, stdout=quiet) as daemon:
        try:
            listener.bind(str(folder / "run" / "cards"))
            listener.listen()
            _wait_for(folder / "run" / "pcscd.comm", daemon)
            print("ready", flush=True)
            _carry(listener)
        finally:
            daemon.kill()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, INTERFACE_FLAGS, request), 16)
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", b"lo", flags | UP))


def _wait_for(path: Path, daemon: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not path.exists():
        if daemon.poll() is not None or time.monotonic() > until_s:
            raise RuntimeError(f"pcscd has not made its socket; it ended with {daemon.poll()}")
        time.sleep(LOOK_S)


def _to_vpcd() -> socket.socket:
    """The driver opens its port soon after pcscd opens its own."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", PORT))
        except ConnectionRefusedError:
            if time.monotonic() > until_s:
                raise
            time.sleep(LOOK_S)


def _carry(listener: socket.socket) -> None:
    """One card after the other from the folder's socket to vpcd, until standard input ends."""
    watch = Watch()
    while sys.stdin.buffer not in select.select([sys.stdin.buffer, listener], [], [])[0]:
        card, _ = listener.accept()
        with card, _to_vpcd() as vpcd:
            if not _carry_one(card, vpcd):
                return
            watch.wait_until_empty()


def _carry_one(card: socket.socket, vpcd: socket.socket) -> bool:
    """Until vpcd has ended its line; False when standard input has ended before."""
    open_ends = [vpcd, card]
    while vpcd in open_ends:
        ready, _, _ = select.select([sys.stdin.buffer, *open_ends], [], [])
        if sys.stdin.buffer in ready:
            return False
        for end in [each for each in open_ends if each in ready]:
            ended = not (_to_card(vpcd, card) if end is vpcd else _from_card(card, vpcd))
            open_ends = [each for each in open_ends if each is not end or not ended]
    return True


def _to_card(vpcd: socket.socket, card: socket.socket) -> bool:
    """Whether vpcd's line goes on. Its end is not passed on yet: pcscd may not have looked."""
    data = _heard(vpcd)
    with contextlib.suppress(ConnectionError):  # the card's end was cut, which it tells itself
        card.sendall(data)
    return bool(data)


def _from_card(card: socket.socket, vpcd: socket.socket) -> bool:
    """Whether the card is still there; when not, vpcd ends its line when it next asks the card something."""
    data = _heard(card)
    with contextlib.suppress(OSError):  # vpcd's end was cut, which it tells itself
        if data:
            vpcd.sendall(data)
        else:
            vpcd.shutdown(socket.SHUT_WR)
    return bool(data)


def _heard(end: socket.socket) -> bytes:
    """What came, or nothing at the end; an end that was cut is one."""
    try:
        return end.recv(CHUNK_BYTES)
    except ConnectionError:
        return b""


class ReaderState(ctypes.Structure):
    """SCARD_READERSTATE of pcsclite.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("user_data", ctypes.c_void_p),
        ("known", ctypes.c_ulong),
        ("now", ctypes.c_ulong),
        ("atr_bytes", ctypes.c_ulong),
        ("atr", ctypes.c_ubyte * 33),
    )


class Watch:
    """What pcscd itself says of the reader, asked through its library as any program would.

    A driver that has lost a card tells the program that was just talking to it, and the part of pcscd that tells all
    programs finds out when it next looks. A card laid down in between would never be seen as a new one. That part
    counts each arrival and each departure (in the high half of the state), so with an even number it knows of no card.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libpcsclite.so.1")
        self._context = ctypes.c_long()
        if self._library.SCardEstablishContext(ctypes.c_ulong(SYSTEM_SCOPE), None, None, ctypes.byref(self._context)):
            raise RuntimeError("pcscd gives no context")

    def wait_until_empty(self) -> None:
        state = ReaderState(name=READER.encode(), known=0)
        while not state.now & EMPTY or state.now >> 16 & 1:
            state.known = state.now
            wait_ms = ctypes.c_ulong(round(PATIENCE_S * 1000))
            failed = self._library.SCardGetStatusChange(self._context, wait_ms, ctypes.byref(state), ctypes.c_ulong(1))
            if failed:
                raise RuntimeError(f"pcscd does not say that its reader is empty: {failed & 0xFFFFFFFF:#x}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
