"""How a connection learns when its client waits: soon for those that do, and no commit for those that do not."""

from balise_gateway.ingests import SOON
from balise_gateway.mqtt.core import LEISURE_S, NEARLY_FULL, USUAL_WINDOW, Doors, Limits, ServerConnection
from gateway.mqtt_bytes import connect, publish

MANY = 200


class Client:
    """One connection with a clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.core = ServerConnection(Limits(max_in_flight=MANY), Doors(lambda user, password: True), 0.0)
        self.core.receive(connect(), 0.0)
        self._next_id = 1
        self._flying: list[int] = []

    def send(self, wait_s: float = 0.0) -> bool:
        """Sends one message after a while; returns whether it is marked as urgent."""
        self.now_s += wait_s
        (message,) = self.core.receive(publish(packet_id=self._next_id), self.now_s)
        self._flying.append(self._next_id)
        self._next_id += 1
        return bool(message.marks & SOON)

    def acknowledged(self) -> None:
        for packet_id in self._flying:
            self.core.committed(packet_id)
        self._flying.clear()
        self.core.resume(self.now_s)


def test_one_message_and_no_more() -> None:
    assert Client().send()


def test_one_at_a_time_each_after_the_last_puback() -> None:
    client = Client()
    for _ in range(5):
        assert client.send(LEISURE_S / 10)
        client.acknowledged()


def test_now_and_then() -> None:
    """A sensor that sends once in a while does not wait: it would cause a commit each time."""
    client = Client()
    assert client.send()
    client.acknowledged()
    for _ in range(NEARLY_FULL - 1):
        assert not client.send(5.0)


def test_a_window_that_is_nearly_full() -> None:
    client = Client()
    told = [client.send() for _ in range(USUAL_WINDOW)]
    assert [number for number, soon in enumerate(told, 1) if soon] == [1, NEARLY_FULL]
    client.acknowledged()
    told = [client.send() for _ in range(USUAL_WINDOW)]
    assert [number for number, soon in enumerate(told, 1) if soon] == [NEARLY_FULL]


def test_a_client_without_a_window() -> None:
    client = Client()
    for _ in range(2 * USUAL_WINDOW):
        client.send()
    client.acknowledged()
    told = [client.send() for _ in range(MANY)]
    assert [number for number, soon in enumerate(told, 1) if soon] == [MANY * 3 // 4]
