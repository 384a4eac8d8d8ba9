"""What a VM is started with: everything else here may be compiled beforehand."""

import _boot  # noqa: F401 - runs the board
