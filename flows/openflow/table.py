"""A table of the pipeline: number, name, the fields that its flows may match, and its default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from flows.openflow.datapath_key import asks_neighbour, not_in_key
from flows.openflow.fields import Field
from flows.openflow.reasons import Reason


class Miss(Enum):
    """What a table does, other than dropping, with a packet that none of its flows matches."""

    RETURN = "return to the caller"


@dataclass(frozen=True)
class Table:
    """An OpenFlow table. Its flows may match `fields`; `miss` applies to packets that match no flow.

    Raises ValueError for a field that the kernel datapath never compares.
    """

    id: int
    name: str
    purpose: str
    miss: Reason | Miss
    fields: frozenset[Field]

    def __post_init__(self) -> None:
        if lost := not_in_key(self.fields):
            raise ValueError(f"table {self.name}: a datapath does not compare {lost}")

    @cached_property
    def asks_neighbour(self) -> bool:
        """Whether its flows may match fields of neighbour discovery."""
        return asks_neighbour(self.fields)

    def __str__(self) -> str:
        return self.name
