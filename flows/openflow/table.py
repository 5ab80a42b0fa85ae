"""What a table of the pipeline is: its number and name, what its flows may match, what it does by default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from flows.openflow.datapath_key import asks_neighbour, not_in_key
from flows.openflow.fields import Field
from flows.openflow.reasons import Reason


class Miss(Enum):
    """What a table does with a packet that no flow of it matches, when it is not a drop."""

    RETURN = "return to the caller"


@dataclass(frozen=True)
class Table:
    """One OpenFlow table. `fields` are those its flows may match; `miss` is its default.

    Raises ValueError for a field that no datapath would compare.
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
