"""What the declaration of an attribute says."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum, Flag, auto
from typing import NamedTuple

from flows.policy.objects import PolicyObject
from sgctl.attributes.value_types import ValueType


class Place(Flag):
    """Where the users of sgctl meet an attribute: in manifests, the REST API, and the CLI's output."""

    MANIFEST = auto()
    REST = auto()
    RECORD = auto()


NOWHERE = Place(0)
EVERYWHERE = Place.MANIFEST | Place.REST | Place.RECORD


class ApiAccess(Enum):
    """What a client of the REST API may do with an attribute."""

    READ = ""
    CREATE = "c"
    EDIT = "cu"


class Setter(Enum):
    """Who may set an attribute over the REST API: NETWORK_OWNER, only of ports, owns the port's network."""

    MEMBER = auto()
    NETWORK_OWNER = auto()
    ADMIN = auto()


class CommandOption(NamedTuple):
    """The option of `sgctl KIND create` and `set`, such as `--address-scope`, or `--on/--off` for a flag.

    `unset` is the help text of the option of `sgctl KIND unset`; without it, there is none.
    """

    name: str
    unset: str = ""
    metavar: str = ""


@dataclass(frozen=True, eq=False)
class Attribute:
    """One attribute of a kind of object.

    `field` is the field of the object, `name` what Neutron, manifests and the CLI's records call it, and
    `column` the column of the database: both are the field's name unless stated. `refers_to` is the kind
    whose id the attribute holds. `since` is the version of the database's schema that has the column first:
    rows from before have the empty value of the type.

    `help` is the sentence that users read in the CLI's help, in the JSON Schema of manifests and in the
    OpenAPI document. In the places of `explicit`, code of its own handles the attribute, or it does not
    occur. An attribute that Neutron does not have is `own`. `title` is the title of its column in the CLI's
    tables; without one, there is no column. A `wide` column is shown only with `-o wide`.
    """

    field: str
    value_type: ValueType
    help: str = ""
    _: KW_ONLY
    name: str = ""
    column: str = ""
    refers_to: type[PolicyObject] | None = None
    since: str = "1.0.0"
    explicit: Place = NOWHERE
    access: ApiAccess = ApiAccess.EDIT
    setter: Setter = Setter.MEMBER
    own: bool = False
    option: CommandOption | None = None
    title: str = ""
    wide: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.field)
        object.__setattr__(self, "column", self.column or self.field)
