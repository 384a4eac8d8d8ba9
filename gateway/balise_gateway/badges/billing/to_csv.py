"""A bill as CSV (RFC 4180): one line per debt or payment, in whole cents, for programs and spreadsheets.

Promises the same columns in every language. Leaves what is for people to the other forms.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

from balise_gateway.badges.billing.bill import LISTS

COLUMNS = ("agreement", "period", "list", "from", "to", "half_days", "cents", "currency", "verified", "inputs_sha256")


def to_csv(bill: Mapping[str, Any], currency: str) -> bytes:
    """UTF-8 without a mark."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    verified = "true" if bill["verified"] else "false"
    for name in LISTS:
        for row in bill[name]:
            debt = row["from"], row["to"], row.get("half_days", ""), row["cents"]
            writer.writerow((bill["agreement"], bill["period"], name, *debt, currency, verified, bill["inputs_sha256"]))
    return out.getvalue().encode()
