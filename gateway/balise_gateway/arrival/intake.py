"""Group commit: frames are gathered in memory, written in one transaction, and only then acknowledged.

Promises that a frame is acknowledged (sealed, and to its carrier) after it is on disk and never before; that a commit
which fails acknowledges nothing, keeps nothing half and is tried again; that memory is bounded (what does not fit is
not taken, so it comes again); and that a repeat is answered, not refused. A commit is made `commit_s` after the first
frame, or at once for a frame without readings (a node that starts wants the time) and when many are waiting.
Leaves opening frames to `unseal.py`, sorting their items to `sorting.py`, foreign messages to `foreign.py`, signing to
`logs.py`.
"""

import asyncio
import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from balise_gateway.arrival.foreign import Foreign, Way
from balise_gateway.arrival.sorting import Batch, Sorter
from balise_gateway.arrival.unseal import Opened, Refused, unseal
from balise_gateway.clock import Clock, known_utc_ms, latest_utc_ms
from balise_gateway.config import NodeSettings
from balise_gateway.errors import JournalError
from balise_gateway.ingests import SOON, UP_FILTER, Ingest, Token
from balise_gateway.journal import Journal, tables
from balise_gateway.log import event
from balise_gateway.mqtt import topics
from balise_gateway.nodes.boots import Boots, Node
from balise_gateway.nodes.manifests import Manifests
from balise_gateway.quality.limits import LimitTable
from balise_gateway.quality.qualifier import Quality
from balise_gateway.sources import Source, SourceError, SourceSettings
from balise_wire.errors import WireError
from balise_wire.frames import KID_BYTES, Ack, FrameKeys, seal_ack

MANY_FRAMES = 512  # that many are committed at once; below what one connection may have in flight
MANY_ROWS = 4_096  # the same with foreign messages, which cost less memory
SOON_S = 0.05  # when a sender can send no more: enough for its neighbours to come along
QUIET_S, MUCH = 2.0, 64  # but with fewer messages than this waiting, not sooner after the last commit
MAX_FRAMES, MAX_BYTES = 16_384, 4 << 20  # more is not taken while commits fail
ANSWER_REPEATS_AFTER_S = 0.2  # several repeats of a node get one answer
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0


@dataclass
class CommitState:
    """How commits go: for the status page."""

    commits: int = 0
    last_utc_ms: int | None = None
    error: str | None = None  # why the last one failed; None when it did not
    failures: int = 0
    repeats: int = 0  # frames that came again although they are held, and were answered again
    not_taken: Counter[str] = field(default_factory=Counter)


class Intake:
    """Takes messages from all ingests. `ready` must have been called once before the first `take`."""

    def __init__(
        self,
        journal: Journal,
        nodes: Sequence[NodeSettings],
        clock: Clock,
        commit_s: float,
        sources: Sequence[tuple[SourceSettings, Source]] = (),
        quality: Quality | None = None,
    ) -> None:
        self.state = CommitState()
        self.nodes: dict[bytes, Node] = {}
        self._settings, self._commit_s, self._sources = nodes, commit_s, sources
        self._quality = quality or Quality(LimitTable())
        self._journal, self._clock = journal, clock
        self._batch = Batch()
        self._tokens: list[tuple[Ingest, Token]] = []  # released by the next commit
        self._repeats: list[tuple[Ingest, Token]] = []  # of frames on disk: released with the next answer
        self._routes: dict[bytes, Ingest] = {}  # how each node was last heard
        self._owed: dict[tuple[bytes, int], None] = {}  # boots that get an answer, in order
        self._timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._due_s, self._committed_s = 0.0, -math.inf
        self._retry_s = self._patient_until_s = 0.0
        self._generation = 0
        self._forget()

    def ready(self) -> None:
        """Opens the journal if it is not open, and reads what it remembers of the nodes. Raises JournalError."""
        self._journal.open()
        if self._generation == self._journal.generation:
            return
        self._drop_pending("the journal was opened again")
        self._forget()
        with self._journal.reading() as db:
            for row in tables.NODE.read(db):
                if row[0] in self.nodes:
                    self.nodes[row[0]].take_row(row)
                    self._quality.nodes.recall(db, row)
                elif len(row[0]) > KID_BYTES:
                    self.foreign.take_row(row)
                    self._quality.foreign.recall(db, row)
        self._generation, self.state.error = self._journal.generation, None

    def take(self, ingest: Ingest, source: str, data: bytes, token: Token | None, marks: int = 0) -> None:
        """One message from an ingest; never waits and never raises for what is in it."""
        batch = self._batch
        if batch.frames >= MAX_FRAMES or batch.size_bytes >= MAX_BYTES or len(self._tokens) >= MAX_FRAMES:
            self._not_taken("full", ingest, token)
            return
        way = self.foreign.route(source)
        if way is not None:
            self._take_foreign(way, source, data, marks)
            if token is not None:
                self._tokens.append((ingest, token))
            self._plan_commit(self._soon_s() if marks & SOON else 0.0 if batch.frames >= MANY_ROWS else None)
            return
        opened = unseal(data, self._keys)
        try:
            if isinstance(opened, Refused):
                self._refuse(opened, source, data)
                urgent = False
            elif self._is_held(opened):
                self._routes[opened.kid] = ingest
                self._owe(opened, ingest, token)
                return
            else:
                self._routes[opened.kid] = ingest
                urgent = self._take_frame(source, data, opened)
        except (JournalError, sqlite3.Error) as error:  # the window of this boot cannot be read now
            self.state.error = str(self._journal.fault(error))
            self._generation = 0  # what this frame may have left half done is forgotten by the next `ready`
            self._not_taken("journal", ingest, token)
            self._plan_commit(0.0)
            return
        if token is not None:
            self._tokens.append((ingest, token))
        self._plan_commit(0.0 if urgent or batch.frames >= MANY_FRAMES else None)

    def commit(self) -> bool:
        """Writes what is gathered, then acknowledges it. On failure nothing is acknowledged, and it is tried again."""
        self._cancel_timer()
        try:
            self.ready()
            if not self._batch.is_empty:
                self._write()
        except JournalError as error:
            self._failed(error)
            return False
        self._acknowledge()
        return True

    def abandon(self) -> None:
        """Ends without committing or acknowledging anything, as a power cut would."""
        self._cancel_timer()
        if self._answer_timer is not None:
            self._answer_timer.cancel()

    @property
    def is_stuck(self) -> bool:
        """Frames wait, and no commit is planned for them."""
        return self._batch.frames > 0 and self._timer is None

    @property
    def pending(self) -> int:
        """Frames and foreign messages in memory, not yet on disk."""
        return self._batch.frames

    def _forget(self) -> None:
        """Starts with what the configuration says, and nothing else."""
        self._boots, self._manifests = Boots(), Manifests()
        made = [Node(node.name, FrameKeys(node.key)) for node in self._settings]
        self.nodes = {node.keys.kid: node for node in made}
        self._keys = {kid: node.keys for kid, node in self.nodes.items()}
        self.foreign = Foreign(self._sources, self._clock, self._quality.foreign)
        self._sorter = Sorter(self.nodes, self._boots, self._manifests, self.foreign, self._quality.nodes)

    def _is_held(self, opened: Opened) -> bool:
        """Is this frame on disk already?"""
        if self.nodes[opened.kid].is_retired(opened.boot):
            return False  # nobody can tell
        boot = self._boots.get(self._journal.db, opened.kid, opened.boot)
        return not boot.is_conflict(opened.count, opened.tag) and boot.held.holds(opened.count)

    def _take_foreign(self, way: Way, source: str, data: bytes, marks: int) -> None:
        """A message that a source wants."""
        batch = self._batch
        try:
            new = self.foreign.take(batch.foreign, way, source, data, marks)
        except SourceError as error:
            batch.refuse(error.reason, source, data)
            return
        batch.size_bytes += len(data)
        if new:
            batch.frames += 1
        else:
            self.state.repeats += 1

    def _refuse(self, refused: Refused, source: str, data: bytes) -> None:
        """What is no frame of ours, and came where none is expected, is nobody's: counted, not kept."""
        if refused.reason == "garbage" and self._sources and not topics.matches(UP_FILTER, source):
            self._batch.counts["refused unwanted"] += 1
        else:
            self._batch.refuse(refused.reason, source, data)

    def _take_frame(self, source: str, data: bytes, opened: Opened) -> bool:
        """A frame that a node of ours has sealed; returns whether it should be committed at once."""
        db, batch = self._journal.db, self._batch
        if self.nodes[opened.kid].is_retired(opened.boot):
            batch.refuse("replay", source, data)
            return False
        boot = self._boots.get(db, opened.kid, opened.boot)
        if boot.conflict:
            batch.refuse("conflict", source, data)
            return False
        if not boot.is_new(opened.count):  # in this batch already
            return False
        try:
            return self._sorter.add(db, batch, opened)
        except WireError as error:
            batch.refuse("malformed", source, data)
            self._sorter.add_nonsense(db, batch, opened, str(error))
            return False

    def _write(self) -> None:
        now_utc_ms = known_utc_ms(self._clock)
        with self._journal.transaction() as db:
            self._sorter.write(db, self._batch, now_utc_ms, latest_utc_ms(self._clock))
        batch, self._batch = self._batch, Batch()
        for key, boot in batch.boots.items():
            boot.committed()
            self._owed[key] = None
        for node in batch.nodes.values():
            node.committed()
        self._quality.nodes.keep()
        self.foreign.committed()
        self._boots.shrink(keep=self._owed)
        self.state.commits += 1
        self._committed_s = asyncio.get_running_loop().time()
        self.state.last_utc_ms = now_utc_ms
        if self.state.error is not None:
            event("journal writes again", after_failures=self.state.failures)
        self.state.error, self.state.failures = None, 0
        self._retry_s = self._patient_until_s = 0.0

    def _acknowledge(self) -> None:
        tokens, self._tokens = self._tokens, []
        _release(tokens, True)
        self._answer()

    def _owe(self, opened: Opened, ingest: Ingest, token: Token | None) -> None:
        """The node does not know yet that this frame is held: it is told, soon and once for several."""
        self.state.repeats += 1
        self._owed[opened.kid, opened.boot] = None
        if token is not None:
            self._repeats.append((ingest, token))
        if self._answer_timer is None:
            loop = asyncio.get_running_loop()
            self._answer_timer = loop.call_later(ANSWER_REPEATS_AFTER_S, self._answer)

    def _answer(self) -> None:
        """Seals and sends what is owed, as far as numbers are reserved on disk."""
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
        repeats, self._repeats = self._repeats, []
        _release(repeats, True)
        owed, self._owed = self._owed, {}
        for kid, boot in owed:
            node, route = self.nodes[kid], self._routes.get(kid)
            if route is None:
                continue
            if node.ack_next < node.ack_limit:
                route.answer(kid, self._sealed_ack(node, boot))
            else:  # the next commit reserves more
                self._owed[kid, boot] = None
                self._batch.nodes[kid] = node
                self._plan_commit(0.0)

    def _sealed_ack(self, node: Node, boot: int) -> bytes:
        held = self._boots.remembered(node.keys.kid, boot).held
        ack = Ack(boot, held.contiguous, held.bitmap, known_utc_ms(self._clock), self._clock.uncertainty_ms())
        sealed = seal_ack(node.keys, node.ack_next, ack)
        node.ack_next += 1
        return sealed

    def _plan_commit(self, within_s: float | None) -> None:
        """One timer: `commit_s` after the first frame, sooner when asked, later while commits fail."""
        if self._timer is not None and within_s is None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._retry_s if self._retry_s else self._commit_s if within_s is None else within_s
        due_s = loop.time() + wait_s
        if self._timer is not None:
            if self._due_s <= due_s or self._retry_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        self._timer = loop.call_at(due_s, self.commit)

    def _soon_s(self) -> float:
        """How long a sender that waits must wait: a moment where much has come, else not more than once in a while."""
        if self._batch.frames >= MUCH:
            return SOON_S
        return max(SOON_S, self._committed_s + QUIET_S - asyncio.get_running_loop().time())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _failed(self, error: JournalError) -> None:
        self.state.failures += 1
        self.state.error = str(error)
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._patient_until_s:  # others ask for commits as well: their asking must not make us more patient
            self._retry_s = min(LAST_RETRY_S, self._retry_s * 2 or FIRST_RETRY_S)
            self._patient_until_s = now_s + self._retry_s
            event("commit failed", why=error, retry_s=self._retry_s, waiting=self._batch.frames)
        self._plan_commit(None)

    def _drop_pending(self, why: str) -> None:
        """Forgets what is not on disk, unacknowledged: it comes again."""
        tokens, self._tokens = self._tokens + self._repeats, []
        self._repeats = []
        if self._batch.frames:
            event("frames dropped, to come again", frames=self._batch.frames, why=why)
        self._batch = Batch()
        self._owed.clear()
        _release(tokens, False)

    def _not_taken(self, why: str, ingest: Ingest, token: Token | None) -> None:
        self.state.not_taken[why] += 1
        if token is not None:
            ingest.release([token], False)


def _release(tokens: list[tuple[Ingest, Token]], committed: bool) -> None:
    """Tells each ingest at once of all its messages."""
    by_ingest: dict[int, tuple[Ingest, list[Token]]] = {}
    for ingest, token in tokens:
        by_ingest.setdefault(id(ingest), (ingest, []))[1].append(token)
    for ingest, released in by_ingest.values():
        ingest.release(released, committed)
