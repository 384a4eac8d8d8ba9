"""What a board runs: copy this file to its root as main.py, beside config.json, with our two packages in lib/."""

from balise_node.app import main

main()
