"""From bytes that came to rows in the journal: opened, known as new or repeated, judged, gathered, committed.

`intake` commits and acknowledges, `unseal` opens nodes' frames, `sorting` makes rows of their items, `foreign` of the
messages of other people's devices. Leaves to `nodes/` what is new, and what columns mean.
"""
