"""`python -m balise_tools` is `balise`."""

from balise_tools.main import app

app()
