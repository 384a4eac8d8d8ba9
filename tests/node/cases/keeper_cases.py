"""Cases of the keeper: what goes into which frame, and what is told when something could not be kept."""

from store_cases import opened

from balise_node.clock import Slot
from balise_node.keeper import Keeper
from balise_node.rows import manifest
from balise_node.store import RESERVE_BYTES, FrameStore
from balise_wire import cbor
from balise_wire.frames import FrameKeys, open_frame
from balise_wire.items import Anchor, Loss, Manifest, Readings
from balise_wire.window import Window

KEYS = FrameKeys(bytes(range(7, 23)))
NODE = "urn:dev:ops:b4115e-air-01"
MODELS = [("pm2_5", "sds011"), ("temperature", "bme280")]
PERIOD_MS = 60_000
HELLO = cbor.encode(manifest(1, NODE, MODELS))


def utc(minute: int) -> Slot:
    return Slot(False, 1_790_000_040_000 + minute * PERIOD_MS, minute * PERIOD_MS)


def since_boot(minute: int) -> Slot:
    return Slot(True, minute * PERIOD_MS, minute * PERIOD_MS)


def keeper_on(kept: FrameStore, boot: int = 9) -> Keeper:
    return Keeper(KEYS, kept, NODE, boot, PERIOD_MS)


def items_of(kept: FrameStore) -> list[list[object]]:
    """The items of each frame in the store, which is emptied."""
    found = []
    while kept.entries():
        for entry in kept.entries():
            frame = open_frame(KEYS, kept.read(entry))
            assert (frame.boot, frame.count) == (entry.boot, entry.count)
            found.append(frame.items)
            kept.release(entry.boot, Window(entry.count))
    return found


def case_hello_then_one_row_per_frame(folder: str) -> None:
    kept = opened(folder)
    keeper = keeper_on(kept)
    keeper.say_hello(HELLO)
    assert keeper.keep_row(since_boot(1), [120, None], {})
    assert keeper.keep_row(utc(2), [121, -50], {})
    hello, first, second = items_of(kept)
    channels = [
        {"n": "pm2_5", "u": "ug/m3", "s": 1, "r": 1, "model": "sds011"},
        {"n": "temperature", "u": "Cel", "s": 2, "r": 1, "model": "bme280"},
    ]
    assert hello == [Manifest(1, {"node": NODE, "channels": channels})]
    assert first == [Readings(1, 9, [60], [[120], [None]])]
    assert second == [Readings(1, None, [1_790_000_160], [[121], [-50]])]
    assert keeper.count == 3


def case_an_anchor_goes_with_the_next_frame_once(folder: str) -> None:
    kept = opened(folder)
    keeper = keeper_on(kept)
    keeper.say_hello(HELLO)
    keeper.tell_anchor(1234, 1_790_000_000_000, 55)
    keeper.keep_row(utc(1), [1, 2], {})
    keeper.keep_row(utc(2), [1, 2], {})
    keeper.tell_anchor(5678, 1_790_000_004_444, 56)
    keeper.ask_time()
    keeper.ask_time()
    _, with_anchor, without, asking = items_of(kept)
    assert with_anchor[0] == Anchor(9, 1234, 1_790_000_000_000, "gateway", 55)
    assert len(without) == 1
    assert asking == [Anchor(9, 5678, 1_790_000_004_444, "gateway", 56)]


def full(folder: str, rows: int) -> tuple[FrameStore, Keeper]:
    """A store with room for so many rows of this keeper, used up."""
    kept = opened(folder, limit_bytes=RESERVE_BYTES + 8 + 200 + rows * 90)
    keeper = keeper_on(kept)
    keeper.say_hello(HELLO)
    minute = 0
    while keeper.keep_row(utc(minute), [1, 2], {}):
        minute += 1
    return kept, keeper


def case_what_did_not_fit_is_told_with_the_first_that_does(folder: str) -> None:
    kept, keeper = full(folder, 60)
    lost = keeper.count - 1
    assert not keeper.keep_row(utc(lost + 1), [1, 2], {})
    assert keeper.count == lost + 1, "a refused row takes no count"
    items_of(kept)
    assert keeper.keep_row(utc(lost + 2), [1, 2], {})
    told = [item for items in items_of(kept) for item in items if isinstance(item, Loss)]
    first, last = utc(lost).ms // 1000, utc(lost + 1).ms // 1000
    assert told == [Loss(NODE, "rows", first, last, "store full")]


def case_an_hour_that_did_not_fit_is_told_from_the_reserve(folder: str) -> None:
    kept, keeper = full(folder, 60)
    lost = keeper.count - 1
    for minute in range(lost + 1, lost + 60):
        assert not keeper.keep_row(utc(minute), [1, 2], {})
    told = [item for items in items_of(kept) for item in items if isinstance(item, Loss)]
    first, last = utc(lost).ms // 1000, utc(lost + 59).ms // 1000
    assert told == [Loss(NODE, "rows", first, last, "store full")]


def case_when_not_even_that_fits_nothing_is_forgotten(folder: str) -> None:
    kept, keeper = full(folder, 60)
    lost = keeper.count - 1
    minutes = 60 * 45
    for minute in range(lost + 1, lost + minutes):
        if minute % 500 == 0:
            keeper.note_lost(since_boot(minute), since_boot(minute), "late", 1)
        keeper.keep_row(utc(minute), [1, 2], {})
    losses = [item for items in items_of(kept) for item in items if isinstance(item, Loss)]
    assert keeper.keep_row(utc(lost + minutes), [1, 2], {})
    losses += [item for items in items_of(kept) for item in items if isinstance(item, Loss)]
    for minute in range(lost, lost + minutes):
        second = utc(minute).ms // 1000
        assert any(isinstance(a.first, int) and a.first <= second <= a.last for a in losses), minute


def case_different_reasons_and_clocks_are_told_apart(folder: str) -> None:
    kept = opened(folder)
    keeper = keeper_on(kept)
    keeper.say_hello(HELLO)
    keeper.note_lost(since_boot(1), since_boot(2), "late", 2)
    keeper.note_lost(since_boot(3), since_boot(3), "late", 1)
    keeper.note_lost(utc(4), utc(4), "late", 1)
    keeper.note_lost(utc(5), utc(5), "store full", 1)
    keeper.keep_row(utc(6), [1, 2], {})
    told = items_of(kept)[1][:-1]
    assert told == [
        Loss(NODE, "rows", [9, 60], [9, 180], "late"),
        Loss(NODE, "rows", utc(4).ms // 1000, utc(4).ms // 1000, "late"),
        Loss(NODE, "rows", utc(5).ms // 1000, utc(5).ms // 1000, "store full"),
    ]


def case_damage_in_flash_is_told(folder: str) -> None:
    kept = opened(folder)
    keeper = keeper_on(kept)
    keeper.say_hello(HELLO)
    keeper.keep_row(utc(1), [1, 2], {})
    kept.lost.append((4, 17, 18))
    keeper.keep_row(utc(2), [1, 2], {})
    keeper.keep_row(utc(3), [1, 2], {})
    told = [item for items in items_of(kept) for item in items if isinstance(item, Loss)]
    assert told == [Loss(NODE, "frames", [4, 17], [4, 18], "damaged in flash")]
