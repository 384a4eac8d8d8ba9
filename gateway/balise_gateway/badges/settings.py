"""[badge]: that this gateway is a place where cards are shown, and which one.

Promises that a place's name is one that others can write too. Leaves readers, outputs and connectors to their kinds.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from balise_gateway.settings import Key
from balise_wire.errors import WireError
from balise_wire.visits import place_of

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+/?")


@dataclass(frozen=True, kw_only=True)
class BadgeSettings:
    """[badge]"""

    place: Annotated[str, Key("this place: a domain name in lower case that it holds")]
    name: Annotated[str, Key("what people call it")] = ""
    contact: Annotated[str, Key("where members write about their data")] = ""
    language: Annotated[Literal["fr", "en"], Key("of screens and notices")] = "fr"
    table_key: Annotated[bytes | None, Key("the public key of the federation's table of places", size_bytes=32)] = None
    table_url: Annotated[str, Key("where the table is fetched from; empty: it is brought by hand")] = ""
    ask_s: Annotated[float, Key("how often the table and other homes' lists are asked for", least=10, most=86_400)] = (
        900
    )
    agreement: Annotated[Path | None, Key("the agreement between the places: its day and half-days hold here")] = None
    keep_taps_days: Annotated[int, Key("how long visits keep their times", least=1, most=90)] = 90
    stale_list_days: Annotated[float, Key("from this age on a list of cards is called old", least=0.01, most=90)] = 7
    show_s: Annotated[float, Key("how long a verdict stays on the screen", least=1, most=60)] = 5
    phone_url: Annotated[str, Key("where phones reach [page], such as http://192.168.1.20:8080; empty: no phones")] = ""

    def problem(self) -> str | None:
        try:
            place_of(self.place, "place")
        except WireError as error:
            return error.detail
        if self.phone_url and not _ADDRESS.fullmatch(self.phone_url):
            return f"phone_url = {self.phone_url!r}: write it as http://192.168.1.20:8080, without a path"
        if self.table_url and self.table_key is None:
            return "table_url without table_key: nobody could tell whether the table is the right one"
        return None
