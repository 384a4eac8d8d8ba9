"""The home's own book: who its members are, and which card is whose.

`book` is the file and what may be asked of it and done with it, `making` is about cards that are made in advance,
`listing` is what of it other places may know.
"""

from balise_gateway.badges.register.book import Card, Member, Register, State
from balise_gateway.badges.register.making import Blank

__all__ = ["Blank", "Card", "Member", "Register", "State"]
