"""What keeps a gateway running on somebody's shelf: its unit, its watchdog, its installation.

`notify` speaks to systemd, `unit` is the service as text, `install` puts both on a machine, `metrics` tells Prometheus,
`bundle` gathers what helps somebody else to help. Leaves what is wrong, and what to try, to `balise_gateway.doctor`.
"""
