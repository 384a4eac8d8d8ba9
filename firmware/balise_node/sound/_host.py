"""What MicroPython's compiler knows by itself, for CPython: there the kernels run as plain Python."""

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable
    from typing import Any

    ptr32 = array[int]
else:
    ptr32 = None  # in annotations only: the words of an array.array("i")


def viper(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """No machine code here."""
    return function


def const(value: int) -> int:
    """A constant."""
    return value
