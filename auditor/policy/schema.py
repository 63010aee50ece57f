"""The JSON Schema of a policy file, made from the models, for editors and for validators that are not ours.

It describes what a person writes: before `${name}` is replaced, before `extends` adds what is left out.
"""

from __future__ import annotations

import json
from typing import Any

from auditor.finding import Severity
from auditor.policy.help import help_for
from auditor.policy.model import Policy

SCHEMA_FILE = "policy.schema.json"
REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "Text with ${name} in it, replaced by the variable."}
_SHORTHANDS = {"Origin", "HeaderRule", "ValueRule"}
_COMPLETED_BY_EXTENDS = {"RateLimit", "Network"}

Schema = dict[str, Any]


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a policy file, version 1."""
    made = Policy.model_json_schema(mode="validation")
    definitions = {name: _definition(name, schema) for name, schema in made.pop("$defs").items()}
    root = _definition("Policy", made)
    root["required"] = ["version"]
    root["properties"]["version"] = {"description": help_for("Policy", "version"), "const": 1}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "auditor policy, version 1"}
    return {**head, **{key: value for key, value in root.items() if key != "title"}, "$defs": definitions}


def schema_text() -> str:
    """Return the JSON Schema as text that is the same on every run."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _definition(name: str, schema: Schema) -> Schema:
    required = set(schema.get("required", ()))
    properties = {}
    for key, value in schema["properties"].items():
        tag = key == "type" and "const" in value
        made = value if tag else _property(value, nullable=key not in required)
        properties[key] = {"description": help_for(name, key), **{k: v for k, v in made.items() if k != "title"}}
    result = {key: value for key, value in schema.items() if key not in {"properties", "title"}}
    result["properties"] = properties
    if name in _COMPLETED_BY_EXTENDS:
        result.pop("required", None)
    if name in _SHORTHANDS:
        text = {"type": "string", "description": "Compared exactly."}
        return {"description": result.pop("description"), "anyOf": [text, result]}
    return result


def _property(schema: Schema, *, nullable: bool) -> Schema:
    """Return the schema of a key's value: null removes what is inherited, `${name}` may stand for anything."""
    inner = _relaxed(schema)
    default = inner.pop("default", None)
    options = inner.pop("anyOf", None) or [inner]
    if nullable and {"type": "null"} not in options:
        options = [*options, {"type": "null"}]
    result = dict(options[0]) if len(options) == 1 else {"anyOf": options}
    shown = _default(default, options)
    return result if shown is None else {**result, "default": shown}


def _default(value: object, options: list[Schema]) -> object:
    words = [severity.word for severity in Severity]
    if isinstance(value, dict | list) or value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if any(option.get("enum") == words for option in options):
            return Severity(int(value)).word
        if any(str(option.get("pattern", "")).endswith("(ms|s|m|h|d|w))+$") for option in options):
            return f"{value:g}s"
    return value


def _relaxed(schema: Schema) -> Schema:
    """Return a schema that also takes `${name}` wherever it constrains a scalar."""
    result = {key: value for key, value in schema.items() if key not in {"title", "discriminator"}}
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _relaxed(result[key])
    if "patternProperties" in result:
        result["additionalProperties"] = _nullable(_relaxed(next(iter(result.pop("patternProperties").values()))))
        result.pop("propertyNames", None)
    elif isinstance(result.get("additionalProperties"), dict):
        result["additionalProperties"] = _nullable(result["additionalProperties"])
    if "anyOf" in result:
        options = [option for item in result["anyOf"] for option in _options(_relaxed(item))]
        result["anyOf"] = [option for index, option in enumerate(options) if option not in options[:index]]
        return result
    return {"anyOf": [result, REFERENCE]} if _constrains(result) else result


def _options(schema: Schema) -> list[Schema]:
    return list(schema["anyOf"]) if set(schema) == {"anyOf"} else [schema]


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [*_options(schema), {"type": "null"}]}


def _constrains(schema: Schema) -> bool:
    if schema.get("type") in {"integer", "number", "boolean"} or "enum" in schema or "const" in schema:
        return True
    return schema.get("type") == "string" and "pattern" in schema
