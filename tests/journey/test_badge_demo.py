"""`make demo-badges`: real processes, simulated readers; two places come to the same, true bill."""

import pytest

from balise_sim import badge_demo


def test_the_demonstration_of_badges_ends_with_the_true_bill(capsys: pytest.CaptureFixture[str]) -> None:
    assert badge_demo.run()
    told = capsys.readouterr().out
    assert "both places came to the same bill: yes; it is the truth: yes" in told
    assert told.count("Badge pas reconnu") == 2  # the lost card, and the stranger's
