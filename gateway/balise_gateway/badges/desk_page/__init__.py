"""The desk page: visits that are typed, at this gateway's place and at guest places, which have no gateway.

Promises that without a place's token nothing is shown or done, and that a guest place's names and keys stay in its own
folder. `places.py` does what is typed, `book.py` keeps it, `keys.py` knows who may, `rounds.py` asks for guest places'
lists; `routes.py`, `page.py` and `words.py` are the page. Leaves cards and lists to `federation/`.
"""
