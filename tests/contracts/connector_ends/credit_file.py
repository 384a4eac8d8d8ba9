"""A table that somebody keeps with a spreadsheet: a real file, written anew each time."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from balise_gateway.badges.connectors import Connector, credit_file
from contracts.connector_ends import MEMBER, OTHER


class End:
    answers: ClassVar[Mapping[str, bool]] = {"away": True, "not text": False, "another head": False}
    secrets = ("k3pt-by-hand",)  # a remark that stands in a line of nobody's
    counts_usages = False

    def __init__(self, folder: Path) -> None:
        self._path, self._writes = folder / "credit.csv", 0
        self.requests, self._answer = 0, "ok"
        self._credits = {MEMBER: 4, OTHER: 2}
        self._write()

    def settings(self, **settings: Any) -> credit_file.Settings:
        return credit_file.Settings(kind="credit_file", file=self._path, **settings)

    def connector(self, **settings: Any) -> Connector:
        return credit_file.Connector(self.settings(**settings), None)

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        self._answer = word
        self._write()

    def used(self, key: str) -> int:
        return 0

    def credit(self, member: str, half_days: int) -> None:
        self._credits[member] = half_days
        self._write()

    def taps(self) -> list[str]:
        return []

    def close(self) -> None:
        """A file needs no end."""

    def _write(self) -> None:
        self._writes += 1
        self._path.unlink(missing_ok=True)
        if self._answer == "away":
            return
        head = ["name", "days"] if self._answer == "another head" else list(credit_file.HEAD)
        with self._path.open("w", encoding="utf-16" if self._answer == "not text" else "utf-8", newline="") as file:
            table = csv.writer(file, delimiter=";")
            table.writerow(head)
            for member, half_days in self._credits.items():
                table.writerow([member, half_days, "2026-03-01"])
        os.utime(self._path, ns=(self._writes * 10**9, self._writes * 10**9))  # however coarse this disk's times are
