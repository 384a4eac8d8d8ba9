"""A remote write 1.0 receiver: Snappy by cramjam, the message by Google's protobuf from the published definition."""

from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import cramjam
import httpx
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from contracts.far_ends import Held
from contracts.far_ends._http import COMMON, HttpFarEnd

_LABEL, _SAMPLE, _SERIES = ".prometheus.Label", ".prometheus.Sample", ".prometheus.TimeSeries"
# prometheus/prompb, remote.proto and types.proto: message, then number, name, type, repeated
_MESSAGES: dict[str, list[tuple[int, str, str, bool]]] = {
    "Label": [(1, "name", "string", False), (2, "value", "string", False)],
    "Sample": [(1, "value", "double", False), (2, "timestamp", "int64", False)],
    "TimeSeries": [(1, "labels", _LABEL, True), (2, "samples", _SAMPLE, True)],
    "WriteRequest": [(1, "timeseries", _SERIES, True)],
}


def _write_request() -> Any:
    """The class of the message, made from the definition above."""
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind, repeated in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made = message.field.add(name=field, number=number, label=label)
            if kind.startswith("."):
                made.type, made.type_name = kinds.TYPE_MESSAGE, kind
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = _write_request()


def decoded(body: bytes) -> Any:
    """The message in a request's body."""
    return WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))


class FarEnd(HttpFarEnd):
    kind = "prometheus_remote_write"
    settings: ClassVar = {
        "url": "http://prometheus.example/api/v1/write",
        "user": "pi",
        "token": "s3cr3t",
        "tenant": "street",
    }
    answers: ClassVar = {**COMMON, "408": COMMON["400"], "425": COMMON["400"]}
    secrets = ("s3cr3t", "cGk6czNjcjN0")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.samples: dict[tuple[str, int], Held] = {}

    def held(self) -> list[Held]:
        return list(self.samples.values())

    def show(self, body: bytes) -> str:
        lines = [body.hex("\n", 60), ""]
        for series in decoded(body).timeseries:
            labels = ",".join(f'{label.name}="{label.value}"' for label in series.labels)
            lines += [f"{{{labels}}} {sample.value!r} {sample.timestamp}" for sample in series.samples]
        return "\n".join(lines)

    def take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        assert request.headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
        for series in decoded(body).timeseries:
            names = [label.name for label in series.labels]
            assert names == sorted(set(names))
            told = {label.name: label.value for label in series.labels}
            stamps = [sample.timestamp for sample in series.samples]
            assert stamps == sorted(set(stamps))
            for sample in series.samples:
                value = Decimal(repr(sample.value))
                held = Held(told["node"], told["channel"], sample.timestamp, value)
                self.samples[str(told), sample.timestamp] = held
        return httpx.Response(204)
