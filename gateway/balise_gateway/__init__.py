"""What runs on the Pi: ingest, unseal, qualify, journal, uplink, hubs and the station's page.

Promises: a frame is acknowledged after its rows are on disk, and every log it writes is signed and free of gaps.
Leaves the meaning of bytes to `balise_wire`. `daemon.Gateway` joins the parts; clock, sockets and HTTP are handed in.
"""
