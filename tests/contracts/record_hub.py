"""What a kind of hub sends for ROWS: `PYTHONPATH=tests python tests/contracts/record_hub.py KIND` prints it.

To be read beside the hub's documentation, and only then kept as `hubs/<kind>.txt` under a line that names the source.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from contracts.far_ends import far_end
from contracts.test_hub import sent


async def whole(kind: str) -> str:
    """The requests as text."""
    with tempfile.TemporaryDirectory() as folder:
        there = far_end(kind, Path(folder))
        hub = there.hub()
        await sent(there, hub)
        await hub.close()
        there.close()
        return there.captured()


if __name__ == "__main__":
    print(asyncio.run(whole(sys.argv[1])), end="")
