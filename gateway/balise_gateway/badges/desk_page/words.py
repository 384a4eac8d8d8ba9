"""What the desk page says, in French and English, and how it looks."""

from html import escape

STYLE = (
    "body{font:1.05rem/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:40rem;color:#1b1b1b;"
    "background:#fff}h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .5rem}"
    "header{display:flex;flex-wrap:wrap;justify-content:space-between;gap:.5rem;align-items:baseline}"
    "label{display:block;margin:.6rem 0 .2rem;font-weight:600}"
    "input,select,button{font:inherit;padding:.6rem;border:2px solid #777;border-radius:.4rem;width:100%;"
    "box-sizing:border-box;background:#fff;color:inherit}"
    "button{background:#1d3557;border-color:#1d3557;color:#fff;font-weight:600;margin-top:.8rem}"
    "button.small{width:auto;margin:0;padding:.3rem .7rem;background:#fff;color:#8c1c13;border-color:#8c1c13;"
    "font-weight:400}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.5rem .2rem;border-bottom:1px solid #ccc;vertical-align:top}"
    "td.do{text-align:right;white-space:nowrap}.gone{color:#666;text-decoration:line-through}"
    ".told,.wrong{padding:.7rem;border-radius:.4rem;border-left:.4rem solid #1a6b37;background:#e7f4ea}"
    ".wrong{border-color:#8c1c13;background:#fbeae8}"
    ".row{display:grid;grid-template-columns:1fr 1fr;gap:.6rem;align-items:end}"
    "details summary{cursor:pointer;text-decoration:underline}.hint{color:#555;font-size:.9rem;margin:.2rem 0}"
    "a{color:#1d3557}details{margin:.6rem 0}td details{margin:0}form.leave{margin-top:2rem}"
)
_WORDS = {
    "title": ("Accueil", "Desk"),
    "record": ("Noter un passage", "Record a visit"),
    "name": ("Abonné de ce lieu", "Subscriber of this place"),
    "pick": ("— choisir un nom —", "— pick a name —"),
    "number": ("ou numéro de carte, de n’importe quel lieu", "or card number, of any place"),
    "time": ("Heure, si ce n’est pas maintenant", "Time, if it is not now"),
    "save": ("Noter l’arrivée ou le départ", "Record the arrival or departure"),
    "today": ("Aujourd’hui", "Today"),
    "nobody": ("Personne pour l’instant.", "Nobody yet."),
    "in": ("arrivée", "arrived"),
    "out": ("départ", "left"),
    "": ("annulé", "cancelled"),
    "cancel": ("Annuler", "Cancel"),
    "sure": ("Oui, annuler", "Yes, cancel"),
    "visitor": ("Visiteur de", "Visitor of"),
    "subscribers": ("Abonnés", "Subscribers"),
    "none": ("Pas encore d’abonné.", "No subscriber yet."),
    "add": ("Ajouter un abonné", "Add a subscriber"),
    "full_name": ("Nom", "Name"),
    "card": ("Numéro de carte (vide : un nouveau numéro)", "Card number (empty: a new number)"),
    "enter": ("Ajouter", "Add"),
    "elsewhere": (
        "Les abonnés et leurs cartes viennent du logiciel du lieu : commandes « balise badge member » et « issue ».",
        "Members and cards come from the place’s own software: commands “balise badge member” and “issue”.",
    ),
    "end": ("Fin d’abonnement", "End subscription"),
    "sure_end": ("Oui, terminer", "Yes, end it"),
    "lists": ("Listes de cartes", "Lists of cards"),
    "list_none": ("pas encore de liste", "no list yet"),
    "list_age": ("{} jours", "{} days"),
    "list_new": ("moins d’un jour", "less than a day"),
    "list_old": ("ancienne : une carte neuve peut y manquer", "old: a new card may be missing"),
    "token": ("Code de l’accueil", "Code of the desk"),
    "open": ("Entrer", "Enter"),
    "leave": ("Quitter", "Leave"),
    "mistake": (
        "Une erreur ? Annulez, puis notez à nouveau, avec l’heure. Rien n’est effacé : l’annulation est signée aussi.",
        "A mistake? Cancel, then record again with the time. Nothing is erased: the cancellation is signed in turn.",
    ),
    "done_in": ("Arrivée notée à {}.", "Arrival recorded at {}."),
    "done_out": ("Départ noté à {}.", "Departure recorded at {}."),
    "done_cancel": ("Passage annulé.", "Visit cancelled."),
    "done_enter": ("Abonné ajouté : sa carte est ci-dessous.", "Subscriber added: the card is below."),
    "done_end": ("Abonnement terminé.", "Subscription ended."),
    "bad_token": ("Ce code n’ouvre aucun accueil.", "This code opens no desk."),
    "bad_clock": ("L’heure n’est pas encore connue ; réessayez bientôt.", "The time is not known yet; try again soon."),
    "bad_no clock": (
        "L’heure n’est pas encore connue ; réessayez bientôt.",
        "The time is not known yet; try again soon.",
    ),
    "bad_unknown": (
        "Carte ou nom inconnu : rien n’est noté. La liste de son lieu n’est peut-être pas encore arrivée.",
        "Unknown card or name: nothing is recorded. The list of its place may not have come yet.",
    ),
    "bad_revoked": (
        "Carte perdue, remplacée ou terminée : rien n’est noté.",
        "Card lost, replaced or ended: not recorded.",
    ),
    "bad_number": (
        "Ce n’est pas un numéro de carte : 10 caractères, dont le dernier vérifie les autres. Une faute de frappe ?",
        "This is no card number: 10 characters, of which the last checks the others. Mistyped?",
    ),
    "bad_number taken": ("Cette carte est déjà à quelqu’un.", "This card is somebody’s already."),
    "bad_name": ("Il manque un nom (80 caractères au plus).", "A name is missing (80 characters at most)."),
    "bad_choice": ("Choisissez un nom ou tapez un numéro, pas les deux.", "Pick a name or type a number, not both."),
    "bad_time": ("Heure d’aujourd’hui, comme 09:30.", "A time of today, as 09:30."),
    "bad_twice": ("Déjà noté, il y a moins de deux minutes.", "Recorded already, less than two minutes ago."),
    "bad_elsewhere": (
        "Ici, les abonnés viennent du logiciel du lieu : rien n’est changé.",
        "Here, members come from the place’s own software: nothing is changed.",
    ),
    "bad_gone": ("Ce passage n’existe pas, ou est déjà annulé.", "There is no such visit, or it is cancelled already."),
    "bad_later": ("Trop de demandes : attendez une minute.", "Too many requests: wait a minute."),
    "bad_origin": ("Demande venue d’une autre page : refusée.", "A request from another page: refused."),
    "bad_disk": ("Rien n’a été noté : le disque refuse.", "Nothing was recorded: the disk refuses."),
    "other": ("English", "Français"),
}


def word(name: str, english: bool) -> str:
    """One text; of an unknown failure the most general one."""
    found = _WORDS.get(name) or _WORDS["bad_disk"]
    return found[1 if english else 0]


def is_word(name: str) -> bool:
    """Whether there is such a text."""
    return name in _WORDS


def page(title: str, body: str, english: bool) -> str:
    """A whole page; `body` is HTML."""
    return (
        f'<!doctype html><html lang="{"en" if english else "fr"}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style>{body}</html>"
    )
