"""Badges: a card is shown, a verdict is seen, and a visit is signed; places settle without a centre.

One package per promise: `readers/` what was shown; `cards/` what a card proves; `register/` the home's members and
cards; `desk/` the verdict and the visit; `outputs/` what people see and hear; `federation/` what places tell each
other; `billing/` sessions and settlement, pure functions of signed visits; `connectors/` the place's own software.
"""
