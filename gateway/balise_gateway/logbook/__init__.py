"""From rows in the journal to signed, numbered envelopes and back, and how long both are kept.

`closing` makes an envelope, as the grant of its log shows things, `logs` gives numbers, `rows` reads what envelopes
hold, `spans` says what is where, `keeping` what goes when there is too much.
"""
