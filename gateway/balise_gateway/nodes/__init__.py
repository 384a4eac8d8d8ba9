"""What is known of nodes: their boots and what is new of each (`boots`), what their columns mean (`manifests`), and
when a boot without a clock was (`dating`).
"""
