"""The API page's content: values, examples and curl lines made of a schema."""

import copy
import json
import shlex
from typing import Any

from mien.web.routes.reference import Call, complete, groups

SPEC: dict[str, Any] = {
    "paths": {
        "/api/things/{id}": {
            "patch": {
                "summary": "Rename a thing",
                "description": "Only its name.",
                "tags": ["Things"],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "it's 1"},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 50}},
                    {"name": "state", "in": "query", "schema": {"type": "string", "examples": ["done"]}, "example": "done"},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Name"}}}},
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                    "404": {"description": "There is no such thing"},
                    "default": {"description": "Any other error"},
                },
            }
        },
        "/api/files": {
            "post": {
                "summary": "Send a file",
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "required": ["file"],
                                "properties": {
                                    "file": {"type": "string", "format": "binary"},
                                    "every_s": {"type": "number", "default": 0.5},
                                },
                            },
                            "example": {"file": "…", "every_s": 0.2},
                        }
                    }
                },
                "responses": {"204": {"description": "done"}},
            },
            "get": {"summary": "A file", "responses": {"200": {"content": {"application/zip": {}}}}},
        },
    },
    "components": {
        "schemas": {
            "Name": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "examples": ["O'Brien"]}}},
            "Thing": {
                "type": "object",
                "properties": {
                    "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "what it is called"},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                    "made_at": {"type": "string", "format": "date-time", "examples": ["2026-11-21T14:20:00Z"]},
                    "kind": {"enum": ["a", "b"]},
                },
            },
        }
    },
}


def calls(guarded: bool = False) -> list[Call]:
    return [call for group in groups(SPEC, "http://127.0.0.1:8700", guarded=guarded) for call in group.calls]


def test_calls_stand_in_groups_with_anchors_of_their_own() -> None:
    found = groups(SPEC, "http://here", guarded=False)
    assert [(group.name, len(group.calls)) for group in found] == [("Things", 1), ("Others", 2)]
    assert len({call.anchor for group in found for call in group.calls}) == 3


def test_what_a_call_wants() -> None:
    rename, _, send = calls()
    assert [(v.name, v.kind, v.place, v.required, v.default) for v in rename.wants] == [
        ("id", "text", "in the address", True, ""),
        ("limit", "whole number", "after ?", False, "50"),
        ("state", "text", "after ?", False, ""),
        ("name", "text", "in the body", True, ""),
    ]
    assert [(v.name, v.kind, v.place, v.required, v.default) for v in send.wants] == [
        ("file", "file", "in the form", True, ""),
        ("every_s", "number", "in the form", False, "0.5"),
    ]


def test_what_a_call_gives() -> None:
    rename = calls()[0]
    assert [(v.name, v.kind, v.meaning) for v in rename.gives] == [
        ("name", "text or null", "what it is called"),
        ("parts", "list of object", ""),
        ("made_at", "time", ""),
        ("kind", "a, b", ""),
    ]
    assert rename.errors == [("404", "There is no such thing")]
    answer = json.loads(rename.answer)
    assert answer["made_at"] == "2026-11-21T14:20:00Z"
    assert answer["kind"] == "a"
    assert answer["parts"][0]["kind"] == "a"  # a thing within a thing ends somewhere


def test_everything_gets_an_example() -> None:
    spec = complete(copy.deepcopy(SPEC))
    rename = spec["paths"]["/api/things/{id}"]["patch"]
    assert rename["parameters"][0]["example"] == "it's 1"  # its own stays
    assert rename["requestBody"]["content"]["application/json"]["example"] == {"name": "O'Brien"}
    assert rename["responses"]["200"]["content"]["application/json"]["example"]["kind"] == "a"
    bare = {"name": "track", "in": "path", "required": True, "schema": {"type": "integer"}}
    complete({"paths": {"/x/{track}": {"get": {"parameters": [bare], "responses": {"204": {}}}}}})
    assert bare["example"] == 1


def test_examples_keep_the_order_of_the_schema_and_its_nulls() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"z": {"type": "integer"}, "a": {"type": "array", "items": {"$ref": "#/components/schemas/Z"}}},
    }
    inner = {"type": "object", "required": ["n"], "properties": {"y": {}, "b": {}, "n": {"type": "null"}}}
    media = {"schema": schema, "example": {"a": [{"b": 1, "y": 2, "x": 3}], "z": 1}}
    answers = {"200": {"content": {"application/json": media}}}
    spec = {"paths": {"/x": {"get": {"responses": answers}}}, "components": {"schemas": {"Z": inner}}}
    answer = groups(spec, "http://here", guarded=False)[0].calls[0].answer
    assert json.dumps(json.loads(answer)) == '{"z": 1, "a": [{"y": 2, "b": 1, "n": null, "x": 3}]}'


def test_the_curl_lines_survive_a_shell() -> None:
    rename, get, send = (shlex.split(call.curl.replace("\\\n", "")) for call in calls())
    assert rename[:4] == ["curl", "-X", "PATCH", "http://127.0.0.1:8700/api/things/it's 1?state=done"]
    assert json.loads(rename[-1]) == {"name": "O'Brien"}
    assert send[4:] == ["-F", "file=@talk.mp4", "-F", "every_s=0.2"]
    assert get == ["curl", "http://127.0.0.1:8700/api/files", "-OJ"]


def test_the_token_stands_in_every_line_where_it_is_needed() -> None:
    assert all('-H "Authorization: Bearer $MIEN_TOKEN"' in call.curl for call in calls(guarded=True))
    assert not any("Authorization" in call.curl for call in calls())
