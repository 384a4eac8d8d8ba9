"""The texts of a bill's sheets, French and English, French first. Leaves layout to the sheets."""

from typing import Literal, NamedTuple

Language = Literal["fr", "en"]


class Words(NamedTuple):
    """One language's texts; braces are filled in by `sheet.py`."""

    title: str
    agreement: str
    period: str
    digest: str
    indicative: str
    countersigned: str
    signed_by: str
    waiting_for: str
    nobody: str
    unverified: str
    need_signatures: str
    not_fewest: str
    vat: str
    how: str
    lists: dict[str, str]
    proposed: str
    balances: str
    columns: dict[str, str]
    checks: str
    flags: dict[str, str]
    nothing: str
    decimal: str


FR = Words(
    title="Relevé des demi-journées entre lieux",
    agreement="Accord",
    period="Période",
    digest="Empreinte des passages (SHA-256)",
    indicative="Indicatif tant que tous les lieux ne l'ont pas contresigné.",
    countersigned="Contresigné par tous les lieux de l'accord.",
    signed_by="Contresigné par",
    waiting_for="En attente de",
    nobody="personne",
    unverified="{n} passages n'ont été signés par personne : à vérifier avant tout paiement.",
    need_signatures="Accord non signé par tous les lieux : d'ici là, seuls valent les montants après compensation.",
    not_fewest="Au-delà de 16 lieux, le nombre de virements est petit, mais peut-être pas le plus petit.",
    vat="TVA : elle n'est pas calculée ici et reste du ressort de l'expert-comptable. Ce relevé n'est pas une facture.",
    how="Chaque chiffre se recalcule à partir des passages signés : balise badge verify-bill.",
    lists={
        "gross": "Dû, avant toute compensation",
        "bilateral": "Après compensation deux à deux",
        "set_off": "Après compensation en cercle",
        "transfers": "À virer",
    },
    proposed="À virer une fois l'accord signé par tous",
    balances="Solde de chaque lieu",
    columns={
        "from": "De",
        "to": "À",
        "half_days": "Demi-journées",
        "cents": "Montant",
        "place": "Lieu",
        "in": "Reçoit",
        "out": "Doit",
        "balance": "Solde",
        "what": "Point",
        "count": "Nombre",
    },
    checks="À vérifier",
    flags={
        "no_exit": "Journées sans sortie, closes par la règle de l'accord",
        "uncertain": "Journées dont le compte dépend de l'heure exacte",
        "not_billable": "Journées avec un passage non facturable",
        "undated": "Passages sans heure connue, non comptés",
        "unverified": "Passages que personne n'a signés",
        "conflicting_mappings": "Pseudonymes sur lesquels un lieu se contredit",
        "double_names": "Enveloppes en double sous un même nom",
        "refused": "Éléments refusés",
        "unsigned": "Lieux qui n'ont pas signé l'accord",
        "without_agreement": "Demi-journées de lieux hors accord, non facturées",
        "without_price": "Passages dans des lieux hors accord, non comptés",
    },
    nothing="rien",
    decimal=",",
)

EN = Words(
    title="Half-days between places",
    agreement="Agreement",
    period="Period",
    digest="Digest of the visits (SHA-256)",
    indicative="Indicative until every place has countersigned it.",
    countersigned="Countersigned by every place of the agreement.",
    signed_by="Countersigned by",
    waiting_for="Waiting for",
    nobody="nobody",
    unverified="{n} visits were signed by nobody: to be verified before anything is paid.",
    need_signatures="Not all places have signed the agreement: until they do, only the amounts after set-off hold.",
    not_fewest="Above 16 places the payments are few, but there may be a smaller number of them.",
    vat="VAT is not computed here and is left to the accountant. This sheet is no invoice.",
    how="Every figure can be recomputed from the signed visits: balise badge verify-bill.",
    lists={
        "gross": "Owed, before any set-off",
        "bilateral": "After set-off per pair",
        "set_off": "After set-off in circles",
        "transfers": "To be paid",
    },
    proposed="To be paid once all have signed the agreement",
    balances="Balance of each place",
    columns={
        "from": "From",
        "to": "To",
        "half_days": "Half-days",
        "cents": "Amount",
        "place": "Place",
        "in": "Gets",
        "out": "Owes",
        "balance": "Balance",
        "what": "What",
        "count": "Number",
    },
    checks="To be checked",
    flags={
        "no_exit": "Days without an exit, closed by the agreement's rule",
        "uncertain": "Days whose count depends on the exact time",
        "not_billable": "Days with a visit that is not billable",
        "undated": "Visits without a known time, not counted",
        "unverified": "Visits that nobody has signed",
        "conflicting_mappings": "Pseudonyms about which a place contradicts itself",
        "double_names": "Names that two envelopes have",
        "refused": "Items that were refused",
        "unsigned": "Places that have not signed the agreement",
        "without_agreement": "Half-days of places outside the agreement, not billed",
        "without_price": "Visits at places outside the agreement, not counted",
    },
    nothing="nothing",
    decimal=".",
)

WORDS: dict[Language, Words] = {"fr": FR, "en": EN}
