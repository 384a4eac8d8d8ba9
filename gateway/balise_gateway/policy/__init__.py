"""How the way out is used: what it is, what it may cost, and what goes first.

`link` knows whether bytes cost money and how often to close and deliver then, `budget` counts a month's bytes against
its plan, `meter` stands in each uplink's way and lets through what may go now. Leaves delivering to `uplink.py`.
"""
