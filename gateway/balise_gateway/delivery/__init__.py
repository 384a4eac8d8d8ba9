"""From signed envelopes to hubs: what is sent when, in which form, until each hub has said that it has it.

`uplink` is one hub's loop, `freight` and `freight_rows` are what it carries; the others are what several kinds of hubs
share (`http_hub`, `mqtt_hub`, `hub_answers`, `row_*`). The kinds are in `hubs/`.
"""
