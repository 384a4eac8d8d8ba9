"""What a card proves: three grades, the chips' own cryptography, and the place's keys.

`recognise` turns what a reader saw into a claim; `sun`, `diversify` and `originality` are NXP's formats; `keys` holds
the place's two key files and what is derived from them.
"""
