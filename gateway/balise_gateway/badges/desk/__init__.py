"""The desk: a card was shown; who is it, what is said, what is written down."""
