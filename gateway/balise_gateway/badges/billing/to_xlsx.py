"""A bill as a workbook: one sheet to read, and one per list.

Promises amounts as numbers, and the same bytes for the same bill from the same version of the library.
Leaves texts to `sheet.py`.
"""

import io
from typing import Any

from balise_gateway.badges.billing.sheet import Cell, Cents, Sheet, Table
from balise_gateway.errors import MissingExtra


def to_xlsx(sheet: Sheet) -> bytes:
    """The workbook. Raises MissingExtra."""
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("a bill as XLSX", "xlsxwriter", "badge") from error
    out = io.BytesIO()
    # Text stays text: no formula and no link is made of what places call themselves
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": sheet.words.title, "created": sheet.made.replace(tzinfo=None)})
    bold = book.add_format({"bold": True})
    money = book.add_format({"num_format": f'#,##0.00 "{sheet.currency}"'})
    _front(book.add_worksheet(sheet.words.agreement), sheet, bold)
    for table in sheet.tables:
        _table(book.add_worksheet(_tab(table)), table, bold, money)
    book.close()
    return out.getvalue()


def _tab(table: Table) -> str:
    return table.title.replace(",", "")[:31]  # what a spreadsheet takes


def _front(tab: Any, sheet: Sheet, bold: Any) -> None:
    tab.set_column(0, 0, 34)
    tab.set_column(1, 1, 70)
    tab.write_string(0, 0, sheet.words.title, bold)
    row = 2
    for name, value in sheet.head:
        tab.write_string(row, 0, name)
        tab.write_string(row, 1, value)
        row += 1
    for text in (*sheet.warnings, *sheet.notes):
        row += 1
        tab.write_string(row, 0, text, bold if text in sheet.warnings else None)


def _table(tab: Any, table: Table, bold: Any, money: Any) -> None:
    tab.set_column(0, len(table.columns) - 1, 26)
    tab.freeze_panes(1, 0)
    for column, name in enumerate(table.columns):
        tab.write_string(0, column, name, bold)
    for number, cells in enumerate(table.rows, start=1):
        for column, cell in enumerate(cells):
            _cell(tab, number, column, cell, money)


def _cell(tab: Any, row: int, column: int, cell: Cell | Cents, money: Any) -> None:
    if isinstance(cell, Cents):
        tab.write_number(row, column, cell.cents / 100, money)
    elif isinstance(cell, int):
        tab.write_number(row, column, cell)
    else:
        tab.write_string(row, column, cell)
