"""A card dies, and last week's backup goes on a new one: the same hub, the same node, nothing twice, no conflict."""

from pathlib import Path

from balise_gateway import backup, keys
from balise_gateway.journal.file import FILE_NAME
from gateway.support import START_UTC_MS, AirNode, played, until
from gateway.test_daemon import Sender, station

T0 = START_UTC_MS // 1000


def put_back(folder: Path) -> None:
    for lost in folder.glob(f"{FILE_NAME}*"):
        lost.unlink()
    backup.restore(folder / "b.zip", folder, [1])


def test_a_gateway_goes_on_from_an_old_backup(tmp_path: Path) -> None:
    async def scene() -> None:
        async with station(tmp_path) as made:
            sender, rows = Sender(AirNode()), 0
            sender.keep(sender.node.hello())
            for life in ("before the backup", "after it", "restored"):
                for _ in range(10):
                    sender.keep(sender.node.row(T0 + 60 * rows))
                    rows += 1
                await sender.run(made)
                wanted = rows
                await until(lambda wanted=wanted: len(made.rows_at_hub()) == wanted, life)
                if life == "before the backup":
                    backup.write(tmp_path, tmp_path / "b.zip", START_UTC_MS)
                elif life == "after it":
                    await made.power_cut()
                    put_back(tmp_path)
                    await made.start()
            assert set(made.rows_at_hub().values()) == {1}
            assert made.store.conflicts() == 0
            seqs = [seq for seq, _ in made.store.envelopes(made.signer.kid, 1)]
            assert seqs == list(range(1, len(seqs) + 1))
            assert keys.load(tmp_path).kid == made.signer.kid

    played(scene)
