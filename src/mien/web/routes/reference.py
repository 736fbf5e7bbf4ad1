"""The API page's content, made of the OpenAPI schema: what each call wants, examples of asking and of the answer, errors."""

import json
import shlex
from dataclasses import dataclass, field
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
TOKEN = "$MIEN_TOKEN"
IN_ADDRESSES: dict[str, Any] = {
    **{"id": "k3v9Qm0aZx81tRbW", "track": 1, "name": "faces.csv"},
    **{"stimulus": "s1", "invitation": "pV7xk2LqW9sYt0aB", "room": 1, "frozen": "u5Zt1NnB7eGh3cKd"},
}
DEPTH_MAX = 8
"""No schema of ours is deeper; one that contains itself ends here."""


@dataclass(frozen=True, slots=True)
class Value:
    """One thing that a call wants or gives."""

    name: str
    kind: str
    meaning: str
    place: str = ""
    required: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready to be shown."""

    method: str
    path: str
    anchor: str
    summary: str
    text: str
    wants: list[Value]
    gives: list[Value]
    curl: str
    status: str
    content: str
    answer: str
    errors: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Group:
    """Calls about one thing."""

    name: str
    anchor: str
    calls: list[Call] = field(default_factory=list)


def groups(spec: dict[str, Any], address: str, *, guarded: bool) -> list[Group]:
    """All calls in groups, in the order of the schema; the examples ask `address`, and with the token where it is needed."""
    reader = _Reader(spec, address, guarded)
    found: dict[str, Group] = {}
    for path, item in spec["paths"].items():
        for method in METHODS:
            if method in item:
                name = (item[method].get("tags") or ["Others"])[0]
                group = found.setdefault(name, Group(name, _anchor(name)))
                group.calls.append(reader.call(method, path, item[method]))
    return list(found.values())


def complete(spec: dict[str, Any]) -> dict[str, Any]:
    """The schema with an example for everything that has none of its own, and with the nulls that FastAPI drops from examples."""
    reader = _Reader(spec, "", False)
    for item in spec["paths"].values():
        for method in METHODS:
            operation = item.get(method, {})
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in IN_ADDRESSES and "examples" not in parameter:
                    parameter.setdefault("example", IN_ADDRESSES[parameter["name"]])
            bodies = [operation.get("requestBody", {}), *operation.get("responses", {}).values()]
            for media in (body.get("content", {}).get("application/json") for body in bodies):
                if media and not media.get("examples"):
                    media["example"] = reader.example(media)
    for schema in spec.get("components", {}).get("schemas", {}).values():
        if "examples" in schema:
            schema["examples"] = [reader.ordered(example, schema) for example in schema["examples"]]
    return spec


class _Reader:
    def __init__(self, spec: dict[str, Any], address: str, guarded: bool) -> None:
        self.spec, self.address, self.guarded = spec, address, guarded

    def call(self, method: str, path: str, operation: dict[str, Any]) -> Call:
        parameters = [self._known(p) for p in operation.get("parameters", [])]
        wants = [
            Value(
                p["name"],
                self._kind(p.get("schema", {})),
                p.get("description") or self._known(p.get("schema", {})).get("description", ""),
                {"path": "in the address", "query": "after ?", "header": "header", "cookie": "cookie"}[p["in"]],
                p.get("required", False),
                _default(p.get("schema", {})),
            )
            for p in parameters
        ]
        body = self._known(operation.get("requestBody", {})).get("content", {})
        for media in list(body.values())[:1]:
            wants += self._fields(media.get("schema", {}), "in the body" if "application/json" in body else "in the form")
        status, answer = next((s, self._known(a)) for s, a in operation["responses"].items() if s.startswith("2"))
        contents: dict[str, dict[str, Any]] = answer.get("content", {})
        content = next(iter(contents), "")
        media = contents.get(content, {})
        if content == "application/json":
            shown = json.dumps(self.example(media), indent=1, ensure_ascii=False)
        else:
            shown = str(media["example"]) if "example" in media else ""
        return Call(
            method=method.upper(),
            path=path,
            anchor=_anchor(f"{method} {path}"),
            summary=operation.get("summary", ""),
            text=operation.get("description", ""),
            wants=wants,
            gives=self._fields(media.get("schema", {}), "") if content == "application/json" else [],
            curl=self._curl(method, path, parameters, body, content),
            status=status,
            content=content,
            answer=shown,
            errors=[(s, a.get("description", "")) for s, a in operation["responses"].items() if s.startswith(("4", "5"))],
        )

    def _known(self, thing: dict[str, Any]) -> dict[str, Any]:
        """What a reference refers to."""
        while "$ref" in thing:
            target: Any = self.spec
            for part in thing["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            thing = target
        return thing

    def _one(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema of what is not null."""
        schema = self._known(schema)
        choices = [c for c in schema.get("anyOf", schema.get("oneOf", [])) if c.get("type") != "null"]
        return self._known(choices[0]) if choices else schema

    def _kind(self, schema: dict[str, Any]) -> str:
        schema = self._known(schema)
        choices = schema.get("anyOf", schema.get("oneOf"))
        if choices:
            return " or ".join(dict.fromkeys(self._kind(c) for c in choices))
        if "enum" in schema:
            return ", ".join(str(v) for v in schema["enum"])
        if "const" in schema:
            return json.dumps(schema["const"])
        if schema.get("format") == "binary":
            return "file"
        if schema.get("format") == "date-time":
            return "time"
        kind = schema.get("type", "anything")
        if kind == "array":
            return f"list of {self._kind(schema.get('items', {}))}"
        names = {"string": "text", "integer": "whole number", "boolean": "true or false", "number": "number", "null": "null"}
        return names.get(kind, "object" if kind == "object" else "anything")

    def _fields(self, schema: dict[str, Any], place: str) -> list[Value]:
        schema = self._one(schema)
        needed = schema.get("required", [])
        return [
            Value(
                name,
                self._kind(one),
                one.get("description") or self._one(one).get("description", ""),
                place,
                name in needed,
                _default(one) if place else "",
            )
            for name, one in schema.get("properties", {}).items()
        ]

    def example(self, media: dict[str, Any]) -> Any:
        """What stands for a body: its own example, or one made of its parts."""
        named = next(iter(media.get("examples", {}).values()), None)
        if named is not None:
            found = named["value"]
        else:
            found = media["example"] if "example" in media else self._made(media.get("schema", {}))
        return self.ordered(found, media.get("schema", {}))

    def ordered(self, example: Any, schema: dict[str, Any]) -> Any:
        """An example with its names in the order of the schema, since pydantic sorts them, and with what is null."""
        one = self._one(schema)
        if isinstance(example, list):
            return [self.ordered(part, one.get("items", {})) for part in example]
        if not isinstance(example, dict):
            return example
        parts, needed = one.get("properties", {}), one.get("required", [])
        names = [*(name for name in parts if name in example or name in needed), *(name for name in example if name not in parts)]
        return {name: self.ordered(example.get(name), parts.get(name, {})) for name in names}

    def _made(self, schema: dict[str, Any], depth: int = 0) -> Any:
        """An example of a schema: its own, or put together of those of its parts."""
        whole, one = self._known(schema), self._one(schema)
        for found in (schema, whole, one):
            if found.get("examples"):
                return found["examples"][0]
            if "example" in found:
                return found["example"]
        for found in (schema, whole):
            if "default" in found:
                return found["default"]
        if depth > DEPTH_MAX:
            return None
        if one.get("format") == "date-time":
            return "2026-11-21T14:20:00Z"
        if "const" in one:
            return one["const"]
        if one.get("enum"):
            return one["enum"][0]
        if one.get("type") == "array":
            return [self._made(one.get("items", {}), depth + 1)]
        if one.get("type") == "object":
            return {name: self._made(part, depth + 1) for name, part in one.get("properties", {}).items()}
        return {"string": "…", "integer": 1, "number": 0.5, "boolean": True}.get(one.get("type", ""))

    def _curl(self, method: str, path: str, parameters: list[dict[str, Any]], body: dict[str, dict[str, Any]], content: str) -> str:
        for p in parameters:
            if p["in"] == "path":
                path = path.replace(f"{{{p['name']}}}", str(self._given(p)))
        asked = "&".join(f"{p['name']}={self._given(p)}" for p in parameters if p["in"] == "query" and self._told(p))
        parts = ["curl"]
        if method != "get":
            parts.append(f"-X {method.upper()}")
        parts.append(shlex.quote(f"{self.address}{path}{'?' + asked if asked else ''}"))
        if content and not content.startswith(("application/json", "text/")):
            parts.append("-OJ" if method == "get" else "")
        lines = [" ".join(part for part in parts if part)]
        if self.guarded and path != "/api/login":
            lines.append(f'-H "Authorization: Bearer {TOKEN}"')
        if "application/json" in body:
            lines.append("-H 'Content-Type: application/json'")
            lines.append(f"-d {shlex.quote(json.dumps(self.example(body['application/json']), ensure_ascii=False))}")
        elif "multipart/form-data" in body:
            media = body["multipart/form-data"]
            kinds = self._one(media.get("schema", {})).get("properties", {})
            for name, value in (self.example(media) or {}).items():
                if kinds.get(name, {}).get("format") == "binary":
                    lines.append(f"-F {name}=@talk.mp4")
                else:
                    lines.append(f"-F {name}={json.dumps(value)}")
        return " \\\n  ".join(lines)

    def _told(self, parameter: dict[str, Any]) -> bool:
        """Whether an example says this, instead of leaving it out."""
        return parameter.get("required", False) or "example" in parameter or bool(parameter.get("examples"))

    def _given(self, parameter: dict[str, Any]) -> Any:
        if "example" in parameter:
            return parameter["example"]
        for named in (parameter.get("examples") or {}).values():
            return named["value"]
        return self._made(parameter.get("schema", {}))


def _default(schema: dict[str, Any]) -> str:
    found = schema.get("default")
    return "" if found is None or found == "" else json.dumps(found)


def _anchor(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
