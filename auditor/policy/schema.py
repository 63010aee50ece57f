"""The JSON Schema of a policy file, made from the models, for editors and for validators that are not ours.

It describes what a person writes: before `${name}` is replaced, before `extends` adds what is left out.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, fields
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from auditor.finding import Severity
from auditor.policy.help import help_for
from auditor.policy.model import Policy
from auditor.policy.shape import Form, Kinds, Length, Model, Range, Word, Written

SCHEMA_FILE = "policy.schema.json"
REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "Text with ${name} in it, replaced by the variable."}
_SHORTHANDS = {"Origin", "HeaderRule", "ValueRule"}
_COMPLETED_BY_EXTENDS = {"RateLimit", "Network"}

Schema = dict[str, Any]


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a policy file, version 1."""
    models: dict[str, Schema] = {}
    _of_a_model(Policy, models)
    root = _definition("Policy", models.pop("Policy"))
    definitions = {name: _definition(name, schema) for name, schema in sorted(models.items())}
    root["required"] = ["version"]
    root["properties"]["version"] = {"description": help_for("Policy", "version"), "const": 1}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "auditor policy, version 1"}
    return {**head, **root, "$defs": definitions}


def schema_text() -> str:
    """Return the JSON Schema as text that is the same on every run."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _of_a_model(model: type[Any], models: dict[str, Schema]) -> Schema:
    """Return the reference to a model, and add it and all that it holds to the models."""
    name = model.__name__
    if name not in models:
        models[name] = {}
        properties = {}
        for item in fields(model):
            default = {} if item.default is MISSING else {"default": item.default}
            properties[item.name] = _of(item.type, models) | default
        needed = [i.name for i in fields(model) if i.default is MISSING and i.default_factory is MISSING]
        models[name] = {
            "additionalProperties": False,
            "description": inspect.cleandoc(model.__doc__ or ""),
            "properties": properties,
            **({"required": needed} if needed else {}),
            "type": "object",
        }
    return {"$ref": f"#/$defs/{name}"}


def _of(kind: Any, models: dict[str, Schema]) -> Schema:
    """Return the schema of a type as the reader takes it (auditor.policy.shape)."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:], models)
    if origin is Literal:
        one = {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        return {**one, "type": _TYPES[type(arguments[0])]}
    if origin is tuple:
        return {"items": _of(arguments[0], models), "type": "array"}
    if origin is dict:
        return {"additionalProperties": _of(arguments[1], models), "type": "object"}
    if origin in {Union, UnionType}:
        return {"anyOf": [_of(part, models) for part in arguments]}
    if issubclass(kind, Model):
        return _of_a_model(kind, models)
    return {"type": _TYPES[kind]}


def _annotated(kind: Any, said_of_it: tuple[Any, ...], models: dict[str, Schema]) -> Schema:
    first = said_of_it[0]
    if isinstance(first, Kinds):
        return {"oneOf": [_of(option, models) for option in get_args(kind)]}
    if isinstance(first, Written | Word):
        return dict(sorted(first.schema.items()))
    made = _of(kind, models)
    for condition in said_of_it:
        made |= {key: value for key, value in _condition(condition, made["type"]).items() if value is not None}
    return dict(sorted(made.items()))


def _condition(condition: object, of: str) -> Schema:
    if isinstance(condition, Form):
        return {"pattern": condition.pattern}
    if isinstance(condition, Length):
        what = {"string": "Length", "array": "Items", "object": "Properties"}[of]
        return {f"min{what}": condition.least or None, f"max{what}": condition.most}
    if isinstance(condition, Range):
        positive = {"exclusiveMinimum": 0} if condition.positive else {}
        return {"maximum": condition.most, "minimum": condition.least, **positive}
    return {}


_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _definition(name: str, schema: Schema) -> Schema:
    required = set(schema.get("required", ()))
    properties = {}
    for key, value in schema["properties"].items():
        tag = key == "type" and "const" in value
        made = value if tag else _property(value, nullable=key not in required)
        properties[key] = {"description": help_for(name, key), **made}
    result = {key: value for key, value in schema.items() if key != "properties"}
    result["properties"] = properties
    if name in _COMPLETED_BY_EXTENDS:
        result.pop("required", None)
    if name in _SHORTHANDS:
        text = {"type": "string", "description": "Compared exactly."}
        return {"description": result.pop("description"), "anyOf": [text, result]}
    return result


def _property(schema: Schema, *, nullable: bool) -> Schema:
    """Return the schema of a key's value: null removes what is inherited, `${name}` may stand for anything."""
    default = schema.get("default")
    inner = _relaxed({key: value for key, value in schema.items() if key != "default"})
    options = inner.pop("anyOf", None) or [inner]
    if nullable and {"type": "null"} not in options:
        options = [*options, {"type": "null"}]
    result = dict(options[0]) if len(options) == 1 else {"anyOf": options}
    shown = _default(default, options)
    return result if shown is None else {**result, "default": shown}


def _default(value: object, options: list[Schema]) -> object:
    words = [severity.word for severity in Severity]
    if isinstance(value, dict | tuple) or value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if any(option.get("enum") == words for option in options):
            return Severity(int(value)).word
        if any(str(option.get("pattern", "")).endswith("(ms|s|m|h|d|w))+$") for option in options):
            return f"{value:g}s"
    return value


def _relaxed(schema: Schema) -> Schema:
    """Return a schema that also takes `${name}` wherever it constrains a scalar."""
    result = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _relaxed(result[key])
    if isinstance(result.get("additionalProperties"), dict):
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
