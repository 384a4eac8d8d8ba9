"""What can be wrong with a node, short of its sensors (drivers/__init__.py).

Exception
  ConfigError   config.json asks for something that cannot be: says which key, what was found, what to write
  LinkError     the link to the gateway is down or broken: connect again
"""


class ConfigError(Exception):
    """config.json cannot be used as it is; the text never holds a secret."""


class LinkError(Exception):
    """The link is down; whoever holds it closes it and connects again."""
