"""Sound to numbers: weighted levels of a microphone's samples, in whole numbers, on the node itself.

No sample leaves this package, and none outlives the block it came in: a block of 16 ms lies in one buffer, which the
next block overwrites, and what remains of it are sums of squares over 4 ms and the states of six filters. There is no
code here that opens, writes, sends or returns samples; tests/node/test_no_sound_leaves.py holds the package to that.

Leaves to others where the words come from (drivers/_microphone.py) and what becomes of the levels (node.py).
"""
