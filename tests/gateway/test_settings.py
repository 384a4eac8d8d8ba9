"""The configuration file: what is right becomes frozen dataclasses, what is wrong says file, key and choices."""

from pathlib import Path

import pytest

from balise_gateway import config, ingests, plugins
from balise_gateway.config import Config, key_table, parse
from balise_gateway.errors import ConfigError
from gateway.support import KEY, NAME, toml

ROOT = Path(__file__).parent.parent.parent


def parsed(text: str) -> Config:
    return parse(text, Path("somewhere/gateway.toml"))


def told(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return str(caught.value)


def whole() -> str:
    return toml(Path("data"), extra='[page]\nhost = "127.0.0.1"\nport = 8080')


def test_a_whole_file() -> None:
    found = parsed(whole())
    assert found.gateway.data_dir == Path("somewhere/data")  # relative to the file
    assert found.ingests[0].users == {"air-01": "right"}
    assert found.nodes[0].key == KEY
    assert (found.hubs[0].log, found.hubs[0].form) == (1, "rice")
    assert found.page is not None


def test_an_absolute_folder_stays() -> None:
    assert parsed(whole().replace('"data"', '"/elsewhere"')).gateway.data_dir == Path("/elsewhere")


def test_no_secret_in_any_repr() -> None:
    shown = repr(parsed(whole()))
    assert "right" not in shown
    assert KEY.hex() not in shown
    assert repr(KEY) not in shown


CASES = {
    "an unknown key names the nearest": ("commit_s", "comit_s", ["gateway", "unknown key 'comit_s'", "'commit_s'"]),
    "an unknown section": ("[page]", "[pages]", ["unknown key 'pages'", "'page'"]),
    "a wrong type": ("commit_s = 0.05", 'commit_s = "often"', ["gateway: commit_s", "a number", "not text"]),
    "true is not a number": ("commit_s = 0.05", "commit_s = true", ["gateway: commit_s", "a number"]),
    "a number is not true": ("port = 0", "port = 0\nanonymous = 1", ["anonymous", "true or false"]),
    "too small": ("commit_s = 0.05", "commit_s = 0", ["commit_s = 0", "at least 0.01"]),
    "not finite": ("commit_s = 0.05", "commit_s = inf", ["commit_s = inf", "at least"]),
    "not a number": ("commit_s = 0.05", "commit_s = nan", ["commit_s = nan"]),
    "too large a port": ("port = 0", "port = 70000", ["ingest 1: port = 70000", "at most 65535"]),
    "a missing key": ("data_dir", "# data_dir", ["gateway: the key 'data_dir' is missing", "a path"]),
    "an unknown kind": ('kind = "native"', 'kind = "natif"', ["hub 1", "'natif'", "native"]),
    "a missing kind": ('kind = "mqtt_listener"', "", ["ingest 1", "kind", "mqtt_broker, mqtt_listener"]),
    "a form that does not exist": ("batch_s = 0.1", 'form = "json"', ["hub 1: form", "rice, array"]),
    "a short key": (f'key = "{KEY.hex()}"', 'key = "abcd"', ["node 1: key", "32 hex digits", "not 4"]),
    "a key that is too short and odd": (f'key = "{KEY.hex()}"', 'key = "abc"', ["node 1: key", "(16 bytes), not 3"]),
    "a key that is not hex": (f'key = "{KEY.hex()}"', f'key = "{"zz" * 16}"', ["node 1: key", "other characters"]),
    "a name that is no URN": (NAME, "air-01", ["node 1", "urn:dev:"]),
    "a url without a scheme": ("http://hub.example", "hub.example", ["hub 1: url", "https://"]),
    "nobody may connect": ('[ingest.users]\nair-01 = "right"', "", ["ingest 1", "anonymous = true", "[ingest.users]"]),
    "an empty password": ('air-01 = "right"', 'air-01 = ""', ["ingest 1: users", "no text empty"]),
    "single brackets": ("[[node]]", "[node]", ["node", "[[node]]"]),
    "not TOML": ("[gateway]", "[gateway", ["not TOML"]),
    "the home log is not for a hub": ("log = 1", "log = 0", ["hub 1: log", "at least 1"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said(case: str) -> None:
    before, after, words = CASES[case]
    text = whole()
    assert before in text
    message = told(text.replace(before, after, 1))
    assert message.startswith("gateway.toml: ")
    for word in words:
        assert word in message


def test_a_wrong_key_is_not_shown() -> None:
    assert "abcdef" not in told(whole().replace(KEY.hex(), "abcdef"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (f'[[node]]\nname = "{NAME}"\nkey = "{"11" * 16}"', ["node 2: name", "node 1"]),
        (f'[[node]]\nname = "urn:dev:ops:other"\nkey = "{KEY.hex()}"', ["node 2: key is that of node 1"]),
    ],
)
def test_a_node_twice(extra: str, words: list[str]) -> None:
    message = told(whole() + extra)
    for word in words:
        assert word in message
    assert KEY.hex() not in message


def test_a_hub_or_log_twice() -> None:
    two = toml(Path("data"), hubs=2)
    assert "hub 2: log = 1 is that of hub 1" in told(two.replace("log = 2", "log = 1"))
    assert "hub 2: name" in told(two.replace("hub 2", "hub 1"))


def test_limits_of_a_channel() -> None:
    limit = '[[limit]]\nchannel = "temperature"\nrate_per_min = 1'
    assert parsed(whole() + limit).limits[0].rate_per_min == 1.0
    assert "limit 2: channel = 'temperature'" in told(whole() + limit + "\n" + limit)
    unknown = told(whole() + limit.replace("temperature", "warmth"))
    assert "limit 1" in unknown
    assert "no channel 'warmth'" in unknown


def test_a_channel_is_corrected_once_by_each_model() -> None:
    one = '[[correction]]\nkind = "hackair"\nchannel = "pm10"\n'
    assert len(parsed(whole() + one + one.replace("pm10", "pm2_5")).corrections) == 2
    two = one + one + 'node = "urn:dev:ops:x"\n'
    assert "correction 2: pm10 is corrected by hackair already, in correction 1" in told(whole() + two)
    other = one + 'node = "urn:dev:ops:y"\n' + one + 'node = "urn:dev:ops:x"\n'
    assert len(parsed(whole() + other).corrections) == 2


def test_two_that_listen_on_one_port() -> None:
    one = toml(Path("data"), extra="[page]\nport = 1883\nhost = '0.0.0.0'").replace("port = 0", "port = 1883")
    assert "page: port = 1883 is that of ingest 1; each needs its own" in told(one)
    assert config.parse(one.replace("port = 1883\nhost", "port = 1884\nhost"), Path("gateway.toml")).page is not None


def test_no_way_in() -> None:
    message = told(f'[gateway]\ndata_dir = "d"\n[[node]]\nname = "{NAME}"\nkey = "{KEY.hex()}"')
    assert "[[ingest]]" in message


def test_no_gateway_section() -> None:
    assert "[gateway] is missing" in told("")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read .*-c"):
        config.load(tmp_path / "none.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load(path)


def test_every_key_is_documented() -> None:
    """`gateway/README.md` and `gateway/BADGES.md` have a table per section, and each row is what the code says."""
    text = "".join((ROOT / "gateway" / name).read_text(encoding="utf-8") for name in ("README.md", "BADGES.md"))
    for section, docs in key_table().items():
        for doc in docs:
            row = f"| `{doc.name}` | {doc.type} | {doc.default or 'needed'} | {doc.doc} |"
            assert row in text, f"{section}: missing or stale in gateway/README.md or BADGES.md: {row}"


def test_kinds_are_found_by_name() -> None:
    assert plugins.kinds(ingests) == ["blinka", "http", "mqtt_broker", "mqtt_listener"]
