"""Both notices in French. Where the periods come from stands in `texts.py`."""

from balise_gateway.badges.notices import ACCOUNTS_YEARS, CNIL, IDENTITY_YEARS, Facts, Notice, Section

_NAME, _CONTACT = "[à compléter : le nom du lieu]", "[à compléter : où écrire]"
_CAMERA = "La caméra du lecteur ne lit que des codes ; aucune image n'est gardée."


def sign(facts: Facts) -> Notice:
    """Posez votre badge."""
    camera = (_CAMERA,) if facts.has_camera else ()
    door = ("La porte s'ouvre pour un badge connu. En cas d'urgence, prenez l'issue de secours.",)
    noted = (
        "Nous notons l'heure de votre arrivée et de votre départ pour compter vos demi-journées. Ces heures sont "
        f"effacées après {facts.keep_taps_days} jours.",
        "Ce lecteur ne surveille personne : ni vos déplacements dans le lieu, ni votre travail.",
        *camera,
        *(door if facts.has_door else ()),
    )
    forgotten = Section("Badge oublié, perdu, pas reconnu ?", ("Entrez quand même, et dites-le à l'équipe.",))
    return Notice(
        "fr",
        "Posez votre badge",
        facts.name or _NAME,
        ("en arrivant", "et en partant"),
        (forgotten, Section("Vos données", noted)),
        f"Questions et droits : {facts.contact or _CONTACT}. La note complète est à l'accueil.",
        gaps=facts.gaps,
    )


def information(facts: Facts) -> Notice:
    """Votre badge et vos données."""
    name, contact = facts.name or _NAME, facts.contact or _CONTACT
    who = Section("Qui en répond", (f"{name} ({facts.place}). Pour nous écrire : {contact}.",))
    return Notice(
        "fr",
        "Votre badge et vos données",
        name,
        (),
        (who, _purposes(facts), _noted(facts), _periods(facts), _receivers(facts), _rights(contact)),
        "Durées : CNIL, délibération 2006-102, art. 4 ; CNIL, « Les durées de conservation des données » et « L'accès "
        "aux locaux et le contrôle des horaires ».",
        "Projet tiré de la configuration du lecteur, à vérifier par le lieu. Ce n'est pas un conseil juridique.",
        facts.gaps,
    )


def _purposes(facts: Facts) -> Section:
    door = ("Ouvrir la porte aux membres : intérêt légitime, la sécurité du lieu (RGPD, art. 6.1.f).",)
    points = (
        "Compter vos demi-journées et montrer votre crédit : exécution du contrat avec vous (RGPD, art. 6.1.b).",
        "Garder les comptes : obligation légale (RGPD, art. 6.1.c).",
        "Reconnaître un badge perdu ou copié : intérêt légitime, éviter qu'une autre personne use votre crédit "
        "(RGPD, art. 6.1.f).",
        *(door if facts.has_door else ()),
    )
    return Section("Pour quoi faire, et sur quelle base", points=points)


def _noted(facts: Facts) -> Section:
    paragraphs = (
        "Votre nom et le numéro de votre badge, chez nous seulement. À chaque passage : le lieu, l'heure, un "
        "pseudonyme et la façon dont le badge a été lu.",
        *((_CAMERA,) if facts.has_camera else ()),
        "Rien ne sert à contrôler vos déplacements dans le lieu ni votre temps de travail, et aucune décision n'est "
        "prise par la machine seule : un badge qui n'est pas reconnu se règle à l'accueil.",
        "Sans badge vous pouvez venir : l'équipe note la demi-journée.",
    )
    return Section("Ce qui est noté", paragraphs)


def _periods(facts: Facts) -> Section:
    points = (
        f"Les passages avec leurs heures : {facts.keep_taps_days} jours, puis ils sont effacés.",
        f"Les lignes de facturation, sans les heures : {ACCOUNTS_YEARS} ans, avec les comptes.",
        f"Votre nom et votre numéro de badge : tant que vous êtes membre, au plus {IDENTITY_YEARS} ans après votre "
        "départ ; nous les effaçons dès qu'ils ne servent plus.",
    )
    return Section("Combien de temps", points=points)


def _receivers(facts: Facts) -> Section:
    partners = (
        "Les autres lieux du réseau : un passage chez eux leur est connu sous un pseudonyme, différent pour chaque "
        "lieu et chaque année. Ils ne reçoivent ni votre nom ni votre numéro de badge, et deux lieux ne peuvent pas "
        "rapprocher vos passages.",
        "Votre lieu reçoit, sous ce pseudonyme, vos passages dans les autres lieux, pour les compter et régler.",
    )
    software = f"Notre logiciel de gestion ({', '.join(facts.software)}) : vos demi-journées, pour votre crédit."
    points = (
        "L'équipe du lieu.",
        *((software,) if facts.software else ()),
        *(partners if facts.has_partners else ("Aucun autre lieu.",)),
        "Votre employeur, s'il paie : un nombre de demi-journées par mois et par lieu ; ni jours, ni heures.",
        "Personne hors de l'Union européenne, et aucune plateforme centrale.",
    )
    return Section("Qui le reçoit", points=points)


def _rights(contact: str) -> Section:
    paragraphs = (
        "Vous pouvez demander à voir vos données, à les corriger, à les effacer, à en limiter l'usage, à les recevoir "
        f"dans un fichier, et vous opposer à ce qui repose sur l'intérêt légitime. Écrivez à {contact} ; nous "
        "répondons en un mois au plus.",
        f"Si la réponse ne vous convient pas, vous pouvez saisir la {CNIL}.",
    )
    return Section("Vos droits", paragraphs)
