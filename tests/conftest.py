"""What holds for all tests: a slow or busy machine fails none of them.

hypothesis would else fail a test that takes long to make its examples, or longer than 0.2 s for one of them.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
