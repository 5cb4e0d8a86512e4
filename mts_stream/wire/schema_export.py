"""JSON Schemas and the AsyncAPI document of the result topics, generated from the models; and what breaks readers.

export_schemas(SCHEMAS)                       writes them anew (`mts-stream schema export`)
breaking_changes(checked_in, generated)       what a reader of the checked-in version could stumble over
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from mts_stream.wire import topics
from mts_stream.wire.results import DeadLetter, FundingChange, Quality, SpreadRow
from mts_stream.wire.signals import SCHEMA_VERSION, SIGNAL_MODELS, Signal

SCHEMAS = Path(__file__).parent / "schemas"
ASYNCAPI_VERSION = "3.0.0"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
ASYNCAPI_NAME = "asyncapi.json"
MESSAGE_SCHEMAS: dict[str, Any] = {
    **SIGNAL_MODELS,
    "signal": Signal,
    "spread": SpreadRow,
    "funding": FundingChange,
    "quality": Quality,
    "dead_letter": DeadLetter,
}
CHANNELS = {
    topics.SIGNALS: tuple(SIGNAL_MODELS),
    topics.SPREADS: ("spread",),
    topics.FUNDING: ("funding",),
    topics.QUALITY: ("quality",),
    topics.DEAD_LETTERS: ("dead_letter",),
}
Document = dict[str, Any]


def schema_name(message: str) -> str:
    """The file of a message's schema, with the version that it describes."""
    return f"{message}.v{SCHEMA_VERSION}.json"


def generate() -> dict[str, Document]:
    """Every document by its file name."""
    documents = {schema_name(message): _schema(message, model) for message, model in MESSAGE_SCHEMAS.items()}
    return documents | {ASYNCAPI_NAME: _asyncapi()}


def render(document: Document) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def export_schemas(folder: Path) -> list[Path]:
    """Write every document into a folder; returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, document in generate().items():
        paths.append(folder / name)
        paths[-1].write_text(render(document))
    return paths


def _schema(message: str, model: Any) -> Document:
    schema = _open(TypeAdapter(model).json_schema(mode="validation"))
    return {**schema, "$schema": GenerateJsonSchema.schema_dialect, "title": message}


def _open(schema: Any) -> Any:
    """We write exactly the models' fields; readers should ignore those they do not know, so that more can come."""
    if isinstance(schema, dict):
        return {k: _open(v) for k, v in schema.items() if not (k == "additionalProperties" and v is False)}
    return [_open(item) for item in schema] if isinstance(schema, list) else schema


def _asyncapi() -> Document:
    about = {topic.name: topic.about for topic in topics.TOPICS}
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "MTS Stream results",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": "Net arbitrage between exchanges, from raw market data. Values are JSON; signals carry "
            "CloudEvents 1.0 attributes as record headers (ce_id, ce_type, ce_source, ce_subject, ce_time).",
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, about[topic], names) for topic, names in CHANNELS.items()},
        "operations": {f"receive-{topic}": _operation(topic, names) for topic, names in CHANNELS.items()},
        "components": {"messages": {name: _message(name) for names in CHANNELS.values() for name in names}},
    }


def _channel(topic: str, about: str, names: tuple[str, ...]) -> Document:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    return {"address": topic, "description": about, "messages": messages}


def _operation(topic: str, names: tuple[str, ...]) -> Document:
    channel = f"#/channels/{topic}"
    messages = [{"$ref": f"{channel}/messages/{name}"} for name in names]
    return {"action": "receive", "channel": {"$ref": channel}, "messages": messages}


def _message(name: str) -> Document:
    model = MESSAGE_SCHEMAS[name]
    summary = (model.__doc__ or "").strip() if isinstance(model, type) and issubclass(model, BaseModel) else ""
    key = {"type": "string", "description": "the pair; of connection quality, the connection"}
    payload = {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./{schema_name(name)}"}}
    message: Document = {"name": name, "payload": payload}
    if summary:
        message["summary"] = summary
    if name != "dead_letter":
        message["bindings"] = {"kafka": {"key": key}}
    return message


def breaking_changes(checked_in: Document, generated: Document) -> list[str]:
    """What a reader written for the checked-in schema could stumble over: fields gone, retyped, newly required.

    Any change of a field's constraints counts as retyped, for a reader may rely on either side of it.
    """
    old, new = _objects(checked_in), _objects(generated)
    found = [f"{name}: gone" for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        found += [f"{name}{change}" for change in _object_changes(old[name], new[name])]
    return found


def _objects(schema: Document) -> dict[str, Document]:
    """The object types of a schema by name; its own under an empty one."""
    return {**schema.get("$defs", {}), "": {k: v for k, v in schema.items() if k not in ("$defs", "$schema")}}


def _object_changes(old: Document, new: Document) -> list[str]:
    fields, fields_now = old.get("properties", {}), new.get("properties", {})
    found = [f".{field}: gone" for field in sorted(fields.keys() - fields_now.keys())]
    both = sorted(fields.keys() & fields_now.keys())
    found += [f".{field}: retyped" for field in both if _bare(fields[field]) != _bare(fields_now[field])]
    required, required_now = set(old.get("required", ())), set(new.get("required", ()))
    found += [f".{field}: newly required" for field in sorted(required_now - required)]
    found += [f".{field}: not required any more" for field in sorted((required - required_now) & fields_now.keys())]
    return found + ([": another shape"] if not _still_holds(_shape(old), _shape(new)) else [])


def _shape(schema: Document) -> Document:
    """An object type without its fields and the words that mean nothing to a program."""
    fields = ("properties", "required", "description", "title")
    return dict(_bare({name: part for name, part in schema.items() if name not in fields}))


def _still_holds(old: Document, new: Document) -> bool:
    """Whether a shape is the same, or a union that more types have joined: readers ignore types they do not know."""
    grown = {"oneOf", "discriminator"}
    if {k: v for k, v in old.items() if k not in grown} != {k: v for k, v in new.items() if k not in grown}:
        return False
    mapping, mapping_now = (shape.get("discriminator", {}).get("mapping", {}) for shape in (old, new))
    return (
        all(member in new.get("oneOf", ()) for member in old.get("oneOf", ()))
        and mapping.items() <= mapping_now.items()
    )


def _bare(schema: Any) -> Any:
    """A schema without the words that mean nothing to a program."""
    if isinstance(schema, dict):
        return {k: _bare(v) for k, v in schema.items() if k not in ("description", "title")}
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema
