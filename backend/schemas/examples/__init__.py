"""The examples of the documentation: what they name (`demo`), their values (`fields`), and each call's own (`calls`).

`example_of` builds the example of any schema from the values, so a new schema of known fields needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.schemas.examples.calls import CALLS, Call
from backend.schemas.examples.demo import ADVERTISER, OTHER
from backend.schemas.examples.fields import FIELDS, FILES, MONDAY, SCHEMAS

__all__ = ["CALLS", "FIELDS", "FILES", "Call", "example_of"]

Schema = Mapping[str, Any]

# Fields that an example of a body leaves out: they name things that a reader has not, or serve operators alone.
_LEFT_OUT = {"onBehalfOf", "skuIds", "sceneId", "metadata", "client_id", "client_secret"}


def example_of(schema: Schema, schemas: Mapping[str, Schema], field: str = "", owner: str = "") -> Any:
    """An example of a JSON schema; `schemas` are the components that it may refer to."""
    if field in SCHEMAS.get(owner, {}):
        return SCHEMAS[owner][field]
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return example_of(schemas[name], schemas, field, name)
    if "properties" in schema:
        is_body = owner.endswith(("In", "Patch", "Form")) or owner.startswith("Body_")
        return {
            name: example_of(each, schemas, name, owner)
            for name, each in schema["properties"].items()
            if not (is_body and name in _LEFT_OUT)
        }
    if field in FIELDS and _fits(FIELDS[field], schema):
        return FIELDS[field]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, field, owner)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas, "", owner)]
    return _plain(schema, field)


def _fits(value: Any, schema: Schema) -> bool:
    """Whether a field's usual value is one of this schema's closed set."""
    kinds = [schema, *schema.get("anyOf", ())]
    closed = [kind["enum"] for kind in kinds if "enum" in kind]
    return not closed or any(value in each for each in closed)


def _plain(schema: Schema, field: str) -> Any:
    """A value of the right type for a field that nothing else is known of."""
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", ())), None))
    by_format = {"uuid": OTHER, "date-time": MONDAY, "uri": "https://example.com/", "email": ADVERTISER.email}
    by_type = {"string": field, "integer": 1, "number": 1.0, "boolean": True, "object": {}, "null": None}
    return by_format.get(schema.get("format", ""), by_type.get(schema.get("type", "null")))
