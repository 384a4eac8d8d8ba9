"""`balise badge`: cards, visits, places and bills. Its commands are those of the modules `badge_*.py` beside this one.

Promises that adding commands edits no existing line. Each module has `add_to(app)`; what a command does is its own
affair.
"""

import importlib
import pkgutil

import typer

import balise_tools

app = typer.Typer(help="Cards, visits, places and bills.", no_args_is_help=True)

for _module in sorted(found.name for found in pkgutil.iter_modules(balise_tools.__path__)):
    if _module.startswith("badge_"):
        importlib.import_module(f"balise_tools.{_module}").add_to(app)


@app.callback()
def badge() -> None:
    """Cards, visits, places and bills."""
