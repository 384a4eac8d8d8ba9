"""API v1: the host's own data, read by whom the host has given a key.

A key is a grant that is read instead of sent: the same words, the same rules (`grants/`), an end, and a rate. `access`
knows keys, `history` finds rows, `tally` writes what was read into the ledger, `app` speaks HTTP, `openapi` says how.
"""
