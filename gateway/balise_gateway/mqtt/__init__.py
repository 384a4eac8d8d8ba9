"""An MQTT 3.1.1 server (OASIS standard of 29 October 2014) that acknowledges only what its owner has committed.

`packets` knows bytes, `topics` knows filters, `core` is one connection without any I/O, `listener` puts it on asyncio.
"""
