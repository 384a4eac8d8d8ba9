"""Device models: the sensors as their data sheets and their users describe them, at the level of bytes and registers.

Every module of this folder whose name does not begin with "_", except base, is one sensor; its stem is the driver's,
and it holds `class Model`. Models have no clock and no bus of their own: see base.
"""
