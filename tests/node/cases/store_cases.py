"""Cases of the frame store, run under CPython and under MicroPython: real files, plain asserts."""

import os

from balise_node.records import MAX_FRAME_BYTES, pack_record
from balise_node.store import FRONT, HELLO, LOSS, RESERVE_BYTES, ROW, FrameStore, StoreFull
from balise_wire.window import Window

KID = b"\x01\x02\x03\x04"
LIMIT_BYTES = 65536


def frame_of(count: int, length: int = 90) -> bytes:
    return bytes((count * 7 + i * 13) % 256 for i in range(length))


def opened(folder: str, limit_bytes: int = LIMIT_BYTES, kid: bytes = KID) -> FrameStore:
    kept = FrameStore(folder + "/frames.bin", kid, limit_bytes)
    kept.open()
    return kept


def all_counts(kept: FrameStore) -> list[int]:
    """Releases everything, piece by piece, and checks each frame on the way."""
    counts = []
    while kept.entries():
        for entry in kept.entries():
            assert kept.read(entry) == frame_of(entry.count, entry.length), entry
            counts.append(entry.count)
            kept.release(entry.boot, Window(entry.count))
    return counts


def contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def put(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def filled(folder: str, counts: int) -> FrameStore:
    kept = opened(folder)
    for count in range(1, counts + 1):
        kept.append(ROW, 5, count, frame_of(count))
    return kept


def case_frames_survive_in_order(folder: str) -> None:
    filled(folder, 100).close()
    kept = opened(folder)
    assert (kept.waiting, kept.lost, kept.highest_boot) == (100, [], 5)
    assert len(kept.entries()) == FRONT
    assert all_counts(kept) == list(range(1, 101))
    assert kept.waiting == 0


def case_release_by_bitmap(folder: str) -> None:
    kept = filled(folder, 5)
    kept.entries()[3].tries = 1
    kept.entries()[3].first_sent_ms = 77
    assert kept.release(5, Window(1, 0b0100)) == (2, 77)  # 1, and 4: bit 2 beyond the first missing
    assert [entry.count for entry in kept.entries()] == [2, 3, 5]
    assert kept.release(6, Window(99)) == (0, -1), "another boot's acknowledgement"
    assert kept.release(5, Window(1, 0b0100)) == (0, -1), "the same acknowledgement again"
    assert kept.waiting == 3


def case_an_acknowledgement_covers_what_is_not_in_ram(folder: str) -> None:
    kept = filled(folder, 3 * FRONT)
    kept.release(5, Window(2 * FRONT + 3))
    assert kept.entries()[0].count == 2 * FRONT + 4
    assert kept.waiting == FRONT - 3


def case_the_hello_goes_first(folder: str) -> None:
    filled(folder, 2 * FRONT).close()
    kept = opened(folder)
    kept.append(HELLO, 6, 1, frame_of(1))
    kept.append(ROW, 6, 2, frame_of(2))
    assert [(entry.boot, entry.count) for entry in kept.entries()[:3]] == [(6, 1), (5, 1), (5, 2)]
    kept.release(6, Window(1))
    kept.release(5, Window(2 * FRONT))
    assert [(entry.boot, entry.count) for entry in kept.entries()] == [(6, 2)], "the hello is not sent again"


def case_a_cut_in_an_append_costs_nothing_kept(folder: str) -> None:
    path = folder + "/frames.bin"
    filled(folder, 2).close()
    before = contents(path)
    record = pack_record(ROW, 5, 3, frame_of(3))
    for cut in range(len(record) + 1):
        put(path, before + record[:cut])
        kept = opened(folder)
        whole = cut == len(record)
        assert kept.lost == ([] if whole or cut == 0 else [(5, 3, 3)]), cut
        kept.append(ROW, 6, 7, frame_of(7, 20))  # shorter than what is torn
        kept.close()
        kept = opened(folder)
        assert kept.lost == [], "told once"
        assert all_counts(kept) == ([1, 2, 3, 7] if whole else [1, 2, 7]), cut
        kept.close()


def case_a_cut_in_the_first_write(folder: str) -> None:
    for cut in range(9):
        put(folder + "/frames.bin", (b"BNF1" + KID)[:cut])
        kept = opened(folder)
        assert (kept.waiting, kept.lost) == (0, [])
        kept.append(ROW, 5, 1, frame_of(1))
        kept.close()
        kept = opened(folder)
        assert all_counts(kept) == [1]
        kept.close()
        os.remove(folder + "/frames.bin")


def case_any_damaged_byte_costs_one_frame(folder: str) -> None:
    path = folder + "/frames.bin"
    filled(folder, 4).close()
    whole = contents(path)
    record_bytes = (len(whole) - 8) // 4
    for at in range(8, len(whole)):
        put(path, whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        kept = opened(folder)
        hit = (at - 8) // record_bytes + 1
        assert kept.lost == [(5, hit, hit)], at
        assert all_counts(kept) == [count for count in (1, 2, 3, 4) if count != hit], at
        kept.close()


def case_damage_while_running_is_never_sent(folder: str) -> None:
    path = folder + "/frames.bin"
    kept = filled(folder, 3)
    data = contents(path)
    with open(path, "r+b") as file:
        file.seek(8 + 16 + 5)
        file.write(bytes([data[8 + 16 + 5] ^ 1]))
    first = kept.entries()[0]
    assert kept.read(first) is None
    assert kept.lost == [(5, 1, 1)]
    assert [entry.count for entry in kept.entries()] == [2, 3]


def case_garbage_is_not_a_store(folder: str) -> None:
    put(folder + "/frames.bin", b"not a store at all")
    kept = opened(folder)
    assert (kept.waiting, len(kept.lost)) == (0, 1)


def case_full_refuses_the_newest(folder: str) -> None:
    kept = opened(folder, limit_bytes=RESERVE_BYTES + 8 + 10 * 106)
    for count in range(1, 11):
        kept.append(ROW, 5, count, frame_of(count))
    refused = ""
    try:
        kept.append(ROW, 5, 11, frame_of(11))
    except StoreFull as error:
        refused = str(error)
    assert "bytes used" in refused, "an eleventh frame in the room of ten"
    kept.append(LOSS, 5, 11, frame_of(11))
    kept.append(HELLO, 6, 1, frame_of(1))
    kept.release(6, Window(1))
    assert all_counts(kept) == list(range(1, 12)), "what was kept stays, the loss was told from the reserve"


def case_an_empty_file_starts_afresh_but_not_for_every_frame(folder: str) -> None:
    kept = opened(folder)
    sizes = []
    for count in range(1, 101):
        kept.append(ROW, 5, count, frame_of(count))
        kept.release(5, Window(count))
        sizes.append(os.stat(folder + "/frames.bin")[6])
    assert max(sizes) < 8 + 4096 + 2 * 106
    assert sizes.count(8) == 2, "two fresh starts in a hundred frames"


def case_copying_gives_room_back(folder: str) -> None:
    kept = filled(folder, 120)
    kept.release(5, Window(70))
    steps = 0
    while kept.tidy():
        steps += 1
        if steps == 2:
            kept.append(ROW, 5, 121, frame_of(121))
            kept.release(5, Window(75))
    assert steps > 2
    assert os.stat(folder + "/frames.bin")[6] == 8 + 51 * 106
    assert not kept.tidy()
    kept.append(ROW, 5, 122, frame_of(122))
    kept.close()
    kept = opened(folder)
    assert kept.entries()[0].count == 71, "released after the copy began: sent once more"
    kept.release(5, Window(75))
    assert all_counts(kept) == list(range(76, 123))


def case_a_cut_while_copying(folder: str) -> None:
    path = folder + "/frames.bin"
    kept = filled(folder, 90)
    kept.release(5, Window(50))
    old = contents(path)
    while kept.tidy():
        pass
    kept.close()
    new = contents(path)
    for cut in list(range(40)) + list(range(40, len(new) + 1, 131)):
        put(path, old)
        put(path + ".new", new[:cut])
        kept = opened(folder)
        assert all_counts(kept)[-40:] == list(range(51, 91))
        kept.close()
    put(path + ".new", new)  # FAT: the old file is removed, then the copy is renamed; a cut between the two
    os.remove(path)
    kept = opened(folder)
    assert all_counts(kept) == list(range(51, 91))
    kept.close()


def case_another_key_sets_aside(folder: str) -> None:
    filled(folder, 3).close()
    kept = opened(folder, kid=b"new!")
    assert kept.set_aside
    assert kept.entries() == []
    kept.close()
    assert len(contents(folder + "/frames.bin.old")) == 8 + 3 * 106
    assert not opened(folder, kid=b"new!").set_aside, "told once"


def case_a_frame_too_long_is_refused(folder: str) -> None:
    kept = opened(folder)
    try:
        kept.append(ROW, 5, 1, bytes(MAX_FRAME_BYTES + 1))
    except StoreFull:
        return
    raise AssertionError("kept")
