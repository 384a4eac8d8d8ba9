"""A board's serial line as the host sees it: a pseudo-terminal that any serial program can open.

Promises: it stays open while the board resets; bytes go both ways as they are, except that the VM's output gets a
board's line ends and the board's own banner in place of the VM's; output that nobody reads is dropped after
PATIENCE_S, as USB boards do. Leaves to others: when there is a VM (live.py), and what overlays/_prompt.py marks.
"""

import asyncio
import os
import re
import termios
import tty
from collections.abc import Callable

CHUNK_BYTES = 65536
PATIENCE_S = 0.5
MARK = b"\x00\x0f\xff"
CTRL_A, CTRL_B, CTRL_C = 1, 2, 3
LOOK_S = 0.005
VM_BANNER_END = b"information.\r\n>>> "
RAW_BANNER = b"raw REPL"
LONE_LINE_END = re.compile(rb"(?<!\r)\n")


class Output:
    """What a VM wrote, made into what its board would have sent.

    The prompt begins as the board's does: raw when `raw`, for which `go_raw` is called, else after `banner`.
    """

    def __init__(self, banner: bytes, raw: bool, go_raw: Callable[[], None]) -> None:
        self._banner, self._raw, self._go_raw = banner, raw, go_raw
        self._waiting = b""  # not yet a whole mark
        self._verbatim = 0  # bytes that pass as they are
        self._until = b""  # what ends the part that is left out
        self._after_return = False
        self.at_prompt = False

    def take(self, data: bytes) -> bytes:
        self._waiting += data
        found = b""
        while (part := self._next()) is not None:
            found += part
        return found

    def _next(self) -> bytes | None:
        """The next part that is complete, perhaps empty; None when more must come first."""
        if not self._waiting:
            return None
        if self._verbatim:
            size = min(self._verbatim, len(self._waiting))
            self._verbatim -= size
            return self._cut(size)
        if self._until:
            return self._skip()
        at = self._waiting.find(MARK)
        if at > 0 or at < 0:
            size = at if at > 0 else len(self._waiting) - _overlap(self._waiting, MARK)
            return self._with_line_ends(self._cut(size)) if size else None
        return self._marked()

    def _cut(self, size: int) -> bytes:
        part, self._waiting = self._waiting[:size], self._waiting[size:]
        return part

    def _skip(self) -> bytes | None:
        at = self._waiting.find(self._until)
        if at < 0:
            return None
        self._cut(at if self._raw else at + len(self._until))
        self._until = b""
        return b""

    def _marked(self) -> bytes | None:
        kind = self._waiting[len(MARK) : len(MARK) + 1]
        if kind == b"P":
            self._cut(len(MARK) + 1)
            return self._prompt()
        if len(self._waiting) < len(MARK) + 5:
            return None
        head = self._cut(len(MARK) + 5)
        self._verbatim = int.from_bytes(head[-4:], "little")
        return b""

    def _prompt(self) -> bytes:
        self.at_prompt = True
        if self._raw:
            self._until = RAW_BANNER
            self._go_raw()
            return b""
        self._until = VM_BANNER_END
        return self._banner

    def _with_line_ends(self, text: bytes) -> bytes:
        if self._after_return and text.startswith(b"\n"):
            found = b"\n" + LONE_LINE_END.sub(b"\r\n", text[1:])
        else:
            found = LONE_LINE_END.sub(b"\r\n", text)
        self._after_return = text.endswith(b"\r")
        return found


def _overlap(data: bytes, mark: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `mark`."""
    return next((size for size in range(len(mark) - 1, 0, -1) if data.endswith(mark[:size])), 0)


class Terminal:
    """`path` is what serial programs open. `is_raw` says whether the prompt was last asked to be the raw one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, banner: bytes) -> None:
        self._loop, self._banner = loop, banner
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path = os.ttyname(self._theirs)
        self.is_raw = False
        self.on_text: Callable[[bytes], None] = lambda _data: None
        self._vm_fd = -1
        self._output = Output(banner, False, lambda: None)
        self._typed_ahead, self._to_vm, self._to_user = bytearray(), bytearray(), bytearray()
        self._is_listening = False
        self._patient_until_s = 0.0
        self._look_again: asyncio.TimerHandle | None = None
        self._give_up: asyncio.TimerHandle | None = None
        loop.add_reader(self._ours, self._typed)

    def close(self) -> None:
        self._loop.remove_reader(self._ours)
        self._loop.remove_writer(self._ours)
        os.close(self._ours)
        os.close(self._theirs)

    # The VM's side

    def attach(self, vm_fd: int, *, raw: bool) -> None:
        """A VM runs: `vm_fd` is the host's end of its own terminal."""
        os.set_blocking(vm_fd, False)
        self._vm_fd, self.is_raw = vm_fd, raw
        self._output = Output(self._banner, raw, lambda: self._send_vm(bytes((CTRL_A,))))
        self._loop.add_reader(vm_fd, self._said)

    def listen(self, may_come: bool) -> None:
        """From now on what is typed reaches the VM, or is kept for its prompt."""
        self._is_listening = may_come
        self._patient_until_s = 0.0 if CTRL_C in self._typed_ahead else self._loop.time() + PATIENCE_S

    def detach(self) -> None:
        """The VM has ended; what it wrote before is passed on."""
        if self._vm_fd < 0:
            return
        while self._read_vm():
            pass
        self._loop.remove_reader(self._vm_fd)
        self._loop.remove_writer(self._vm_fd)
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        self._to_vm.clear()
        self._typed_ahead.clear()
        self._vm_fd = -1
        self._is_listening = False

    def say(self, text: str) -> None:
        """A line of the board itself."""
        self._send_user(text.encode() + b"\r\n")

    def _said(self) -> None:
        if self._read_vm() == b"":
            self._loop.remove_reader(self._vm_fd)  # its end is told by the bridge

    def _read_vm(self) -> bytes | None:
        """Passes on what there is and gives it; None when there is nothing now, b"" when nothing will follow."""
        try:
            data = os.read(self._vm_fd, CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""  # EIO: nobody has the other end open
        found = self._output.take(data)
        if found:
            self._send_user(found)
        return data

    def _send_user(self, data: bytes) -> None:
        self.on_text(data)
        self._to_user += data
        self._write_user()

    def _write_user(self) -> None:
        before = len(self._to_user)
        _write_some(self._ours, self._to_user)
        if self._give_up is not None and len(self._to_user) < before:
            self._give_up.cancel()
            self._give_up = None
        if not self._to_user:
            self._loop.remove_writer(self._ours)
        elif self._give_up is None:
            self._loop.add_writer(self._ours, self._write_user)
            self._give_up = self._loop.call_later(PATIENCE_S, self._drop)

    def _drop(self) -> None:
        """Nobody reads."""
        self._give_up = None
        self._to_user.clear()
        self._loop.remove_writer(self._ours)

    # The user's side

    def _typed(self) -> None:
        data = os.read(self._ours, CHUNK_BYTES)
        if self._vm_fd >= 0:  # else no firmware runs: nobody listens
            self._typed_ahead += data
            self._pass_on()

    def _pass_on(self) -> None:
        """Gives the VM what was typed, but nothing that it would throw away: it empties its line when a prompt begins.

        So what follows Ctrl-C, or comes before the first prompt, is kept until the prompt is there or will not come.
        """
        now_s = self._loop.time()
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        if self._is_at_prompt():
            self._is_listening, self._patient_until_s = True, 0.0
            self._to_prompt(self._take_typed(len(self._typed_ahead)))
        elif self._is_listening and now_s >= self._patient_until_s:
            interrupt = self._typed_ahead.find(CTRL_C) + 1
            if interrupt:
                self._patient_until_s = now_s + PATIENCE_S
            self._send_vm(self._take_typed(interrupt or len(self._typed_ahead)))
        if self._typed_ahead:
            self._look_again = self._loop.call_later(LOOK_S, self._pass_on)

    def _take_typed(self, size: int) -> bytes:
        taken = bytes(self._typed_ahead[:size])
        del self._typed_ahead[:size]
        return taken

    def _to_prompt(self, data: bytes) -> None:
        asked = max(data.rfind(CTRL_A), data.rfind(CTRL_B))
        self.is_raw = data[asked] == CTRL_A if asked >= 0 else self.is_raw
        self._send_vm(data)

    def _is_at_prompt(self) -> bool:
        """The VM takes Ctrl-C for a character while it is at its prompt, and for a signal while code runs."""
        local_modes: int = termios.tcgetattr(self._vm_fd)[3]
        return self._output.at_prompt and not local_modes & termios.ISIG

    def _send_vm(self, data: bytes) -> None:
        self._to_vm += data
        self._write_vm()

    def _write_vm(self) -> None:
        _write_some(self._vm_fd, self._to_vm)
        if self._to_vm:
            self._loop.add_writer(self._vm_fd, self._write_vm)
        else:
            self._loop.remove_writer(self._vm_fd)


def _write_some(descriptor: int, data: bytearray) -> None:
    """Takes away from `data` what can be written now."""
    try:
        while data:
            del data[: os.write(descriptor, data[:CHUNK_BYTES])]
    except OSError:
        pass  # EAGAIN: full; EIO: the VM has just ended, which the bridge tells
