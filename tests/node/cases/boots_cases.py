"""Cases of the boot counter: no number twice, whatever is lost or torn."""

import os

from store_cases import contents, put

from balise_node.boots import LAST, next_boot
from balise_node.errors import ConfigError


def paths_in(folder: str) -> tuple[str, str]:
    return folder + "/boot", folder + "/boot.bak"


def case_each_start_counts_one(folder: str) -> None:
    paths = paths_in(folder)
    first = next_boot(paths)
    assert first >= 1 << 16, "a first start is drawn at random"
    assert [next_boot(paths) for _ in range(3)] == [first + 1, first + 2, first + 3]


def case_either_copy_may_be_lost_or_torn(folder: str) -> None:
    paths = paths_in(folder)
    used = next_boot(paths)
    for path in paths * 2:
        whole = contents(path)
        for cut in range(len(whole)):
            put(path, whole[:cut])
            boot = next_boot(paths)
            assert boot == used + 1
            used = boot
        os.remove(path)
        boot = next_boot(paths)
        assert boot == used + 1
        used = boot
        put(path, bytes([contents(path)[0] ^ 0x80]) + contents(path)[1:])
        boot = next_boot(paths)
        assert boot == used + 1, "a flipped bit is no number"
        used = boot


def case_a_cut_between_the_copies_skips_a_number(folder: str) -> None:
    paths = paths_in(folder)
    before = next_boot(paths)
    old = contents(paths[1])
    cut = next_boot(paths)
    put(paths[1], old)  # the power failed after the first copy: nothing was sealed under this number
    assert next_boot(paths) == cut + 1 == before + 2


def case_both_lost_is_a_new_random_start(folder: str) -> None:
    paths = paths_in(folder)
    seen = []
    for _ in range(20):
        for path in paths:
            if seen:
                os.remove(path)
        seen.append(next_boot(paths, above=seen[-1] if seen else 0))
    assert len(set(seen)) == 20
    assert sorted(seen) != seen, "not counted up from what happens to be left"


def case_kept_frames_push_the_number_up(folder: str) -> None:
    paths = paths_in(folder)
    first = next_boot(paths)
    assert next_boot(paths, above=first + 100) == first + 101


def case_the_last_number(folder: str) -> None:
    paths = paths_in(folder)
    next_boot(paths)
    message = ""
    try:
        next_boot(paths, above=LAST)
    except ConfigError as error:
        message = str(error)
    assert "write a new one" in message
