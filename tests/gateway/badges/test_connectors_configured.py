"""From a configuration to the programs themselves, in real time: a mail server, a broker, and a site of Dokos."""

import asyncio
import contextlib
import datetime
from pathlib import Path

import pytest

from balise_gateway.badges.connector_runner import Runner, built
from balise_gateway.badges.connectors import Tapped, Usage
from balise_gateway.clock import SystemClock
from balise_gateway.config import load
from contracts.connector_ends import MEMBER, csv_mail, dokos, home_assistant, secret
from gateway.support import played, toml, until

TAP = Tapped("9f86d081884c7d65", None, "porte", "accepted", "in")


def section(**keys: object) -> str:
    lines = [f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"' for name, value in keys.items()]
    return "\n".join(["[[connector]]", *lines, ""])


def written(folder: Path, mail: csv_mail.End, home: home_assistant.End) -> Path:
    """A gateway's configuration with three connectors; paths count from its folder."""
    for name, text in (("mail", csv_mail.PASSWORD), ("home", home_assistant.PASSWORD), ("site", dokos.TOKEN)):
        (folder / name).mkdir(exist_ok=True)
        secret(folder / name, text)
    parts = [
        section(kind="dokos", url="https://erp.example", secret_file="site/secret", credit_type=dokos.CREDIT),
        section(
            kind="home_assistant", host="127.0.0.1", port=home.broker.port, user="station", password_file="home/secret"
        ),
        section(kind="csv_mail", host="127.0.0.1", port=mail.port, user=csv_mail.USER, password_file="mail/secret")
        + f'ca_file = "cert.pem"\nfolder = "mail"\nsender = "{csv_mail.SENDER}"\n'
        + f'recipients = ["{csv_mail.TO[0]}"]\ngrace_days = 0\n',
    ]
    path = folder / "gateway.toml"
    path.write_text(
        toml(folder, hubs=0, extra="\n".join(['[badge]\nplace = "here.example"', *parts])), encoding="utf-8"
    )
    return path


@pytest.mark.timeout(120)
def test_a_usage_reaches_those_who_want_it_and_a_tap_the_others(tmp_path: Path) -> None:
    mail, home, site = csv_mail.End(tmp_path), home_assistant.End(tmp_path), dokos.End(tmp_path)
    config = load(written(tmp_path, mail, home))
    clock = SystemClock(uncertainty_ms=20)
    last_month = datetime.datetime.now(datetime.UTC).date().replace(day=1) - datetime.timedelta(days=3)
    told = Usage("a", MEMBER, "", "mappemonde.example", last_month.isoformat(), 2)

    async def scene() -> None:
        runner = Runner(built(config.connectors, site, clock), config.gateway.data_dir, clock)
        runner.open()
        task = asyncio.create_task(runner.run())
        site.credit(MEMBER, 9)
        runner.usage(told)
        runner.tapped(TAP)
        await until(lambda: mail.mails and site.used("a") == 2, "the usage is known to both")
        await until(lambda: runner.balance_of(MEMBER), "the balance is known")
        await until(lambda: runner.status()[1]["state"] == "up", "the tap is told")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await runner.close()

    try:
        played(scene)
        assert csv_mail.table(mail.mails[0])[0]["half_days"] == "2"
        assert home.taps() == [TAP.tag]
    finally:
        mail.close()
        home.close()
