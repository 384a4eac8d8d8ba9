"""The shapes that drivers are handed and have, for type checkers only: nothing imports this at run time."""

from typing import Any, ClassVar, Protocol

class UART(Protocol):
    """What drivers use of machine.UART."""

    def read(self) -> bytes | None: ...
    def write(self, buf: bytes, /) -> int | None: ...

class I2C(Protocol):
    """What drivers use of machine.I2C."""

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, /) -> bytes: ...
    def writeto_mem(self, addr: int, memaddr: int, buf: bytes, /) -> None: ...

class SleepMs(Protocol):
    def __call__(self, ms: int, /) -> object: ...

class Wanted(Protocol):
    def __call__(self, frame: bytes, /) -> bool: ...

class Framing(Protocol):
    """How the frames of one UART sensor look; see _uart.Dialogue."""

    HEAD: bytes

    @staticmethod
    def size(data: bytes, at: int) -> int: ...
    @staticmethod
    def fault(frame: bytes) -> str | None: ...

class Driver(Protocol):
    MODEL: ClassVar[str]
    BUS: ClassVar[str]
    CHANNELS: ClassVar[tuple[str, ...]]
    WARMUP_S: ClassVar[int]

    def __init__(self, bus: Any, sleep_ms: SleepMs, **options: Any) -> None: ...
    def wake(self) -> None: ...
    def sample(self) -> tuple[int | None, ...]: ...
    def sleep(self) -> None: ...
