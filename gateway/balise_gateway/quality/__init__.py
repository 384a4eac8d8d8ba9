"""What a value is worth: flags beside it, corrections beside it, calibrations proposed, and what many are in one.

A value is never changed here. Flags are QARTOD's (IOOS, "QC of real-time oceanographic data", test numbers as in its
manuals): 1 pass, 2 not evaluated, 3 suspect, 4 fail, 9 missing.
"""

PASS, NOT_EVALUATED, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9
