"""The checked-in schemas are those of the models, and no change of a model breaks its readers unnoticed."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mts_stream.wire import topics
from mts_stream.wire.schema_export import (
    ASYNCAPI_NAME,
    MESSAGE_SCHEMAS,
    SCHEMAS,
    breaking_changes,
    export_schemas,
    generate,
    render,
    schema_name,
)
from mts_stream.wire.topics import STORED_TOPICS
from tests.sinks import messages

GENERATED = generate()
CHECKED_IN = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
CLOSED = schema_name("arbitrage.closed")


@pytest.mark.parametrize("message", sorted(MESSAGE_SCHEMAS))
def test_no_message_changes_under_its_readers(message: str) -> None:
    """A field gone, retyped or newly required needs a new schema_version, and with it a new file."""
    name = schema_name(message)

    assert breaking_changes(CHECKED_IN[name], GENERATED[name]) == []


def test_what_is_checked_in_is_what_the_models_say() -> None:
    """After a change that breaks nobody: `mts-stream schema export`."""
    assert {name: render(document) for name, document in GENERATED.items()} == {
        path.name: path.read_text() for path in SCHEMAS.glob("*.json")
    }


def test_export_writes_every_document(tmp_path: Path) -> None:
    """Into any folder, which it makes."""
    written = export_schemas(tmp_path / "schemas")

    assert {path.name for path in written} == set(GENERATED)
    assert all(json.loads(path.read_text()) == GENERATED[path.name] for path in written)


def changed(change: Any) -> dict[str, Any]:
    """The closed message's schema with a change."""
    schema = copy.deepcopy(GENERATED[CLOSED])
    change(schema)
    return schema


def test_a_new_type_of_signal_breaks_nobody() -> None:
    """Readers ignore types they do not know; one that is gone, or means another message, is told."""
    name = schema_name("signal")
    fewer = copy.deepcopy(GENERATED[name])
    gone = fewer["discriminator"]["mapping"].pop("trading.signal")
    fewer["oneOf"] = [member for member in fewer["oneOf"] if member["$ref"] != gone]
    other = copy.deepcopy(GENERATED[name])
    other["discriminator"]["mapping"]["trading.signal"] = "#/$defs/SpreadAnomaly"

    assert breaking_changes(fewer, GENERATED[name]) == []
    assert breaking_changes(GENERATED[name], fewer) == [": another shape"]
    assert breaking_changes(GENERATED[name], other) == [": another shape"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda s: s["properties"].pop("reason"), [".reason: gone"]),
        (lambda s: s["properties"]["updates"].update(type="string"), [".updates: retyped"]),
        (lambda s: s["properties"]["net_usd"].update(pattern=".*"), [".net_usd: retyped"]),
        (lambda s: s["$defs"]["BuyLeg"]["properties"].pop("price"), ["BuyLeg.price: gone"]),
        (lambda s: s["$defs"].pop("SellLeg"), ["SellLeg: gone"]),
        (lambda s: s["required"].remove("reason"), [".reason: not required any more"]),
        (
            lambda s: (s["properties"].update(mood={"type": "string"}), s["required"].append("mood")),
            [".mood: newly required"],
        ),
        (lambda s: s.update(type="array"), [": another shape"]),
        (lambda s: s["properties"].update(mood={"type": "string"}), []),
        (lambda s: s["properties"]["reason"].update(description="why it ended"), []),
    ],
)
def test_what_breaks_a_reader_is_named(change: Any, found: list[str]) -> None:
    """New optional fields and better words break nobody."""
    assert breaking_changes(GENERATED[CLOSED], changed(change)) == found


@pytest.mark.parametrize("message", messages.signals(), ids=lambda message: message["type"])
def test_messages_fit_their_schemas(message: dict[str, Any]) -> None:
    """The schema of the type and that of all signals say the same as the model; a field that is missing is seen."""
    for name in (message["type"], "signal"):
        validator = Draft202012Validator(CHECKED_IN[schema_name(name)])
        validator.validate(message)
        assert not validator.is_valid({k: v for k, v in message.items() if k != "pair"})


def test_other_results_fit_their_schemas() -> None:
    """Windows, funding changes and quality."""
    for name, message in (
        ("spread", messages.windows()[0]),
        ("funding", messages.funding_change()),
        ("quality", messages.book_quality()),
        ("quality", messages.connection_quality()),
    ):
        Draft202012Validator(CHECKED_IN[schema_name(name)]).validate(message)


def test_the_asyncapi_document_names_every_topic_and_message() -> None:
    """Each channel is a topic of ours, each message has a schema file beside it."""
    document = CHECKED_IN[ASYNCAPI_NAME]

    assert set(document["channels"]) == {*STORED_TOPICS, topics.DEAD_LETTERS}
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            name = reference["$ref"].rsplit("/", 1)[-1]
            payload = document["components"]["messages"][name]["payload"]["schema"]["$ref"]
            assert payload.removeprefix("./") in CHECKED_IN
