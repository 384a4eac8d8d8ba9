"""Links: how sealed frames get to a gateway and its answers back. A carrier only: what it acknowledges proves nothing.

Every module of this folder is a link, its name is the one that config.json's "link" asks for, and it holds one class:

    class Link:
        __init__(config, kid)   keeps what it needs of config.json; connects nothing. `kid`: the node's key id, 4 bytes
        async connect()         brings the link up, as long as that takes; raises LinkError when it cannot
        async send(frame)       hands one frame on; returns when it has left, not when it has arrived; LinkError when it
                                cannot. Frames may be lost, doubled or reordered behind it: the node sends again what
                                is not acknowledged
        async receive()         the next message for this node, as soon as there is one; LinkError when the link is
                                broken, which it finds out by itself within a bounded time
        async close()           lets go of everything; allowed at any time and again; then connect() works again

send and receive are called by two tasks at a time, each by one. A call that is cancelled leaves a link that close()
can close. No call blocks the board for longer than the radio's own name look-up. Nothing but LinkError is raised.
"""

from balise_node.errors import ConfigError

TYPE_CHECKING = False  # MicroPython has no typing; type checkers take the name for true
if TYPE_CHECKING:
    from balise_node._shapes import Config, NodeLink


def load(config: "Config", kid: bytes) -> "NodeLink":
    """The link that config.json asks for, imported only now. Raises ConfigError."""
    name = config["link"]
    module = None
    try:
        module = __import__("balise_node.links." + name, None, None, ("Link",))
    except ImportError as error:
        if name not in str(error):  # a link that lacks something is another fault than a missing link
            raise
    if module is None:
        raise ConfigError(
            f'config.json: "link": found "{name}"; write a module of the links folder, such as "wifi_mqtt"'
        )
    link: NodeLink = module.Link(config, kid)
    return link
