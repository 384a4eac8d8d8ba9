"""A phone in place of a card: the screen shows a code, the phone scans it and brings a card's number.

Promises that a number counts only with a code that the screen has just shown, and then as a number that anybody may
have: grade 0. Leaves the verdict to `desk/`. `codes.py` makes codes, `page.py` is what the phone shows, `routes.py`
the paths.
"""
