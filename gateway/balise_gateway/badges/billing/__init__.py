"""Sessions and settlement: pure functions of signed visits and one signed agreement.

Promises that the same items give the same figures, in whatever order, files and repetitions they come. Leaves cards
and verdicts to the packages beside it, and VAT to the accountant.
"""
