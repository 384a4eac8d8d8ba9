"""What the host has granted to whom: what may leave, how fine, how late, for what purpose, under which licence.

One grant stands between the home log and one hub's log. `grant` is what the host writes, `rules` what follows from it
for each item, `source` how a hub's log says what it was derived from. Nothing is granted by default: a hub without a
grant gets nothing. The rules are applied where a hub's log is closed (`closing.py`), and nowhere else.
"""
