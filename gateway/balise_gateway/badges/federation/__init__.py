"""What places tell each other, without a centre: the table of places, lists of cards, visits, SUN messages.

`table_cache` keeps the signed table; `home_lists` makes a home's lists and `lists` keeps those of others; `exchange`
takes partners' visits; `sun_service` asks a home about a message of its chip; `suspects` finds cards at two places at
once; `broker` shows the way to a home's page; `typed` is the desk of a place that has no gateway.
"""
