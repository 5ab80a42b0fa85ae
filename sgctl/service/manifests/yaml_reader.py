"""Reads YAML text as documents that know the line of every value.

Reads a safe subset of YAML: only `true`, `false`, `null` and plain decimal integers are not text. Therefore
an unquoted MAC address, `no` and `0100` remain text.
"""

from __future__ import annotations

import re
from typing import ClassVar, Protocol

import yaml

Path = tuple[str | int, ...]
"""The path of a value in a document: keys and list positions."""

MAX_VALUES = 2_000_000
"""The maximum number of values in one document; every use of an alias counts its values again."""


MAX_DEPTH = 50

_STR = "tag:yaml.org,2002:str"
_TAGS = {_STR, *(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "int", "bool", "null", "merge"))}


class YamlError(Exception):
    """The text is not YAML, or not in the supported subset; `line` counts from 1, 0 is unknown."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class _Reader(Protocol):
    """The common interface of PyYAML's two safe loaders."""

    def check_node(self) -> bool: ...
    def get_node(self) -> yaml.Node: ...
    def construct_document(self, node: yaml.Node) -> object: ...
    def dispose(self) -> None: ...


# libyaml's parser is ten times faster; use it if PyYAML was built with it.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    yaml_implicit_resolvers: ClassVar[dict[str, list[object]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    ("null", r"(?:~|null|Null|NULL|)$", [*"~nN", ""]),
    ("int", r"-?(?:0|[1-9][0-9]{0,17})$", [*"-0123456789"]),
    ("merge", r"<<$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


class YamlDocument:
    """One document: its `data` and the line of each value."""

    def __init__(self, node: yaml.Node, data: object) -> None:
        self._node = node
        self.data = data

    def line(self, path: Path) -> int:
        """The line of a value, or of the innermost existing value that would contain it; counts from 1."""
        node: yaml.Node = self._node
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return int(node.start_mark.line) + 1


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None


def read(text: bytes) -> list[YamlDocument]:
    """The documents of a text, without empty ones. Raises YamlError."""
    try:
        _refuse_deep_nesting(text)
        return _documents(_Loader(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise YamlError(f"not YAML: {error.problem or error.context}", line) from error
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {' '.join(str(error).split())}", 0) from error


def _refuse_deep_nesting(text: bytes) -> None:
    """Refuse deep nesting: libyaml's binding is recursive, so a deep document would crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise YamlError(f"nested more than {MAX_DEPTH} deep", line)


def _documents(loader: _Reader) -> list[YamlDocument]:
    documents = []
    try:
        while loader.check_node():
            node = loader.get_node()
            _inspect(node, {})
            data = _construct(loader, node)
            if data is not None:
                documents.append(YamlDocument(node, data))
    finally:
        loader.dispose()
    return documents


def _construct(loader: _Reader, node: yaml.Node) -> object:
    try:
        return loader.construct_document(node)
    except (ValueError, KeyError, IndexError) as error:
        raise YamlError("a value does not fit its tag", node.start_mark.line + 1) from error


def _inspect(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Refuse input that would be misread or be endless; returns the number of values in the node."""
    known = sizes.get(id(node))
    if known is not None:
        if known == 0:
            raise YamlError("an alias contains itself", node.start_mark.line + 1)
        return known
    if node.tag not in _TAGS:
        raise YamlError(f"the tag {node.tag} is not supported", node.start_mark.line + 1)
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.MappingNode):
        _inspect_keys(node)
        size += sum(_inspect(value, sizes) for _, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_inspect(item, sizes) for item in node.value)
    if size > MAX_VALUES:
        raise YamlError(f"more than {MAX_VALUES} values in one document", node.start_mark.line + 1)
    sizes[id(node)] = size
    return size


def _inspect_keys(node: yaml.MappingNode) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError("a key must be text", line)
        if key.tag not in (_STR, "tag:yaml.org,2002:merge"):
            raise YamlError(f"the key {key.value!r} must be text; quote it", line)
        if key.value in seen:
            raise YamlError(f"the key {key.value!r} appears twice, first in line {seen[key.value]}", line)
        seen[key.value] = line
