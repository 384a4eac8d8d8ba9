"""A real mosquitto, and paho listening to all that it carries: the far end of every kind that speaks MQTT."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from balise_gateway.errors import HubAway, HubDenied, HubError, HubTooLarge
from gateway.support import program

PATIENCE_S = 20.0
USER, PASSWORD, STRANGER = "station", "swordfish-7", "stranger"
ANSWERS: dict[str, type[HubError]] = {
    "no connection": HubAway,
    "silence": HubAway,
    "wrong password": HubDenied,
    "not allowed": HubDenied,
    "too large": HubTooLarge,
}
_MARK = "far/end/mark"
_SMALL_BYTES = 300


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not within {PATIENCE_S:g} s"
        time.sleep(0.005)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """One broker on a port of its own, which can be killed, frozen and started again; what it held is on its disk."""

    def __init__(self, folder: Path, *, asks_passwords: bool = True) -> None:
        self.folder, self.port, self._asks = folder / "mosquitto", free_port(), asks_passwords
        self._process: subprocess.Popen[bytes] | None = None
        self.more: tuple[str, ...] = ()  # lines of the listener
        self.rights = "readwrite"  # of the station, from the next start on

    def start(self, *lines: str) -> None:
        self.stop()
        self.folder.mkdir(exist_ok=True)
        passwords, rules, config = (self.folder / name for name in ("passwords", "rules", "mosquitto.conf"))
        if not passwords.exists():
            passwords.touch()
            for user in (USER, STRANGER):
                maker = [program("mosquitto_passwd"), "-b", str(passwords), user, PASSWORD]
                subprocess.run(maker, check=True, capture_output=True)
        rules.write_text(f"user {USER}\ntopic {self.rights} #\nuser {STRANGER}\ntopic read #\n", encoding="utf-8")
        told = [f"listener {self.port} 127.0.0.1", *self.more, f"acl_file {rules}", "user root"]
        told += [f"password_file {passwords}"] if self._asks else ["allow_anonymous true"]
        told += ["persistence true", f"persistence_location {self.folder}/"]
        config.write_text("\n".join([*told, *lines, ""]), encoding="utf-8")
        self._process = subprocess.Popen([program("mosquitto"), "-c", str(config)], stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.port), "mosquitto listens")

    @property
    def runs(self) -> bool:
        return self._process is not None

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)


class Listener:
    """Everything that a broker has accepted, in order."""

    def __init__(self, port: int) -> None:
        self.heard: list[Heard] = []
        self._marks, self._up = 0, threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="far-end", protocol=paho.MQTTv5)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._up.set()
        wanted = SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._client.on_connect = lambda *_: self._client.subscribe("#", options=wanted)
        self._client.on_disconnect = lambda *_: self._up.clear()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port, clean_start=False, properties=_lasting())
        self._client.loop_start()
        assert self._up.wait(PATIENCE_S)

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    def settle(self) -> list[Heard]:
        """All that was accepted until now."""
        before = self._marks
        self._client.publish(_MARK, b"", 1)
        wait_for(lambda: self._marks > before, "the mark comes back")
        return self.heard

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        if message.topic == _MARK:
            self._marks += 1
        else:
            self.heard.append(Heard(message.topic, bytes(message.payload), message.retain))


class MqttFarEnd:
    """A broker that does what `answer` says; a kind adds `hub`, `held` and what it asks for."""

    answers: ClassVar[dict[str, type[HubError]]] = ANSWERS
    secrets: tuple[str, ...] = (PASSWORD,)
    time_step_ms = 1
    asks_passwords = True

    def __init__(self, folder: Path) -> None:
        self.broker, self._answer = Mosquitto(folder, asks_passwords=self.asks_passwords), "ok"
        self._heard: list[Heard] = []
        self._listener: Listener | None = None

    @property
    def answer(self) -> str:
        return self._answer

    @answer.setter
    def answer(self, word: str) -> None:
        self._answer = word
        if word == "no connection":
            self._mute()
            self.broker.stop()
        elif word == "silence":
            self._start()
            self.broker.freeze()
        elif word == "too large":
            self._start(f"max_packet_size {_SMALL_BYTES}")
        elif not self.broker.runs:
            self._start()

    @property
    def requests(self) -> int:
        return len(self.heard())

    def listens(self) -> bool:
        return self._listener is not None and self._listener.is_up

    def heard(self) -> list[Heard]:
        return self._heard if self._listener is None else self._listener.settle()

    def login(self) -> dict[str, Any]:
        """Settings of the connection, as `answer` wants them."""
        if not self.broker.runs and self._answer != "no connection":
            self._start()
        found = {"host": "127.0.0.1", "port": self.broker.port, "user": USER, "password": PASSWORD}
        if self._answer == "wrong password":
            found["password"] = "swordfish-8"
        if self._answer == "not allowed":
            found["user"] = STRANGER
        return found

    def captured(self) -> str:
        marks = {False: "", True: " (retained)"}
        return "".join(f"{m.topic}{marks[m.retained]}\n  {m.payload.decode()}\n" for m in self.heard())

    def close(self) -> None:
        self._mute()
        self.broker.stop()

    def _start(self, *lines: str) -> None:
        self._mute()
        self.broker.start(*lines)
        if not lines:
            self._listener = Listener(self.broker.port)
            self._listener.heard = self._heard

    def _mute(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def _lasting() -> Any:
    """A session that outlives a broker that is stopped and started again."""
    properties: Any = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    return properties


def documents(heard: list[Heard], topic: str) -> list[Any]:
    """The JSON of every message on this topic."""
    return [json.loads(message.payload) for message in heard if message.topic == topic]
