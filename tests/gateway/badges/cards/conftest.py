"""The same examples in every run, and no limit on time: a slow machine must not fail a correct parser."""

from hypothesis import settings

settings.register_profile("steady cards", derandomize=True, deadline=None, database=None)
settings.load_profile("steady cards")
