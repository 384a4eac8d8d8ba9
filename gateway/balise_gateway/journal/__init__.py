"""The journal: one SQLite file that holds frames until they are signed, and envelopes for ever.

`schema_1.sql` and its successors say what is in it, `schema` makes and migrates it, `tables` says how a row is put and
checked, `file` opens, checks and commits, `salvage` and `pages` rescue what a damaged file still holds.
"""

from balise_gateway.journal.file import Journal, open_to_read

__all__ = ["Journal", "open_to_read"]
