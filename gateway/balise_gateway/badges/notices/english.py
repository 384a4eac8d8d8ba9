"""Both notices in English. Where the periods come from stands in `texts.py`."""

from balise_gateway.badges.notices import ACCOUNTS_YEARS, CNIL, IDENTITY_YEARS, Facts, Notice, Section

_NAME, _CONTACT = "[to be filled in: the name of the place]", "[to be filled in: where to write]"
_CAMERA = "The reader's camera reads codes only; no picture is kept."


def sign(facts: Facts) -> Notice:
    """Lay down your badge."""
    camera = (_CAMERA,) if facts.has_camera else ()
    door = ("The door opens for a badge that is known. In an emergency take the emergency exit.",)
    noted = (
        "We note when you arrive and when you leave, to count your half-days. These times are erased after "
        f"{facts.keep_taps_days} days.",
        "This reader watches nobody: neither where you are in the building, nor your work.",
        *camera,
        *(door if facts.has_door else ()),
    )
    forgotten = Section("Badge forgotten, lost, not recognised?", ("Come in all the same, and tell the team.",))
    return Notice(
        "en",
        "Lay down your badge",
        facts.name or _NAME,
        ("when you arrive", "and when you leave"),
        (forgotten, Section("Your data", noted)),
        f"Questions and rights: {facts.contact or _CONTACT}. The whole notice is at the desk.",
        gaps=facts.gaps,
    )


def information(facts: Facts) -> Notice:
    """Your badge and your data."""
    name, contact = facts.name or _NAME, facts.contact or _CONTACT
    who = Section("Who is responsible", (f"{name} ({facts.place}). To write to us: {contact}.",))
    return Notice(
        "en",
        "Your badge and your data",
        name,
        (),
        (who, _purposes(facts), _noted(facts), _periods(facts), _receivers(facts), _rights(contact)),
        "Periods: CNIL, délibération 2006-102, art. 4; CNIL, « Les durées de conservation des données » and « L'accès "
        "aux locaux et le contrôle des horaires ».",
        "A draft from the configuration of the reader, to be checked by the place. It is not legal advice.",
        facts.gaps,
    )


def _purposes(facts: Facts) -> Section:
    door = ("To open the door to members: a legitimate interest, the safety of the place (GDPR, art. 6.1.f).",)
    points = (
        "To count your half-days and show your credit: performance of our contract with you (GDPR, art. 6.1.b).",
        "To keep the accounts: a legal obligation (GDPR, art. 6.1.c).",
        "To notice a badge that was lost or copied: a legitimate interest, that nobody else uses your credit "
        "(GDPR, art. 6.1.f).",
        *(door if facts.has_door else ()),
    )
    return Section("What for, and on which basis", points=points)


def _noted(facts: Facts) -> Section:
    paragraphs = (
        "Your name and the number of your badge, at our place only. At each visit: the place, the time, a pseudonym, "
        "and how the badge was read.",
        *((_CAMERA,) if facts.has_camera else ()),
        "Nothing serves to check where you are in the building or how long you work, and no decision is taken by the "
        "machine alone: a badge that is not recognised is dealt with at the desk.",
        "You can come without a badge: the team notes the half-day.",
    )
    return Section("What is noted", paragraphs)


def _periods(facts: Facts) -> Section:
    points = (
        f"Visits with their times: {facts.keep_taps_days} days, then they are erased.",
        f"Billing lines, without times: {ACCOUNTS_YEARS} years, with the accounts.",
        f"Your name and the number of your badge: while you are a member, and at most {IDENTITY_YEARS} years after you "
        "have left; we erase them as soon as they serve no more.",
    )
    return Section("How long", points=points)


def _receivers(facts: Facts) -> Section:
    partners = (
        "The other places of the network: they know a visit to them under a pseudonym that differs from place to place "
        "and from year to year. They receive neither your name nor the number of your badge, and two places cannot "
        "join your visits.",
        "Your home place receives, under that pseudonym, your visits to other places, to count and settle them.",
    )
    software = f"Our management software ({', '.join(facts.software)}): your half-days, for your credit."
    points = (
        "The team of the place.",
        *((software,) if facts.software else ()),
        *(partners if facts.has_partners else ("No other place.",)),
        "Your employer, if they pay: a number of half-days by month and place; no days, no times.",
        "Nobody outside the European Union, and no central platform.",
    )
    return Section("Who receives it", points=points)


def _rights(contact: str) -> Section:
    paragraphs = (
        "You can ask to see your data, to have it corrected or erased, to limit its use, to receive it in a file, and "
        f"object to what rests on a legitimate interest. Write to {contact}; we answer within a month.",
        f"If the answer does not satisfy you, you can complain to the {CNIL}.",
    )
    return Section("Your rights", paragraphs)
