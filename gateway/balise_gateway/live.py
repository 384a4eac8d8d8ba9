"""What only the running parts know, section by section, for the status document (`status.py` says what is in it).

Promises plain values without secrets. Leaves putting them together to `status.merged`.
"""

from collections.abc import Mapping

from balise_gateway.arrival.intake import Intake
from balise_gateway.delivery.uplink import Uplink
from balise_gateway.errors import JournalError
from balise_gateway.grants.standings import Standings
from balise_gateway.policy.link import Link
from balise_gateway.quality.qualifier import Quality

MAX_DOUBTS_TOLD = 20


def journal(intake: Intake) -> Mapping[str, object]:
    """How commits go."""
    state = intake.state
    return {
        "error": state.error,
        "failures": state.failures,
        "commits": state.commits,
        "last_commit_utc_ms": state.last_utc_ms,
        "pending_frames": intake.pending,
        "repeated_frames": state.repeats,
        "not_taken": dict(sorted(state.not_taken.items())),
    }


def doubts(intake: Intake, quality: Quality) -> list[dict[str, object]]:
    """The newest values that are not believed, and why, newest first."""
    names = {kid: node.name for kid, node in intake.nodes.items()}
    told = []
    for doubt in list(quality.recent)[: -MAX_DOUBTS_TOLD - 1 : -1]:
        shown = doubt._asdict()
        key = shown.pop("kid")
        told.append({"node": names.get(key) or key.decode("utf-8", "replace"), **shown})
    return told


def link(way: Link) -> Mapping[str, object]:
    """What the way out is."""
    return {"metered": way.metered, "says": way.source}


def hub(uplink: Uplink, standings: Standings) -> dict[str, object]:
    """How deliveries go."""
    state = uplink.state
    try:
        grant = standings.state(uplink.settings.log)
    except JournalError:
        grant = "unreadable"  # nothing leaves, and the uplink's error says why
    answered = {"answers": state.answers, "sent_bytes": state.sent_bytes}
    held = {"grant": grant, "held_back": state.held_back}
    return {"error": state.error, "failures": state.failures, **answered, **held}
