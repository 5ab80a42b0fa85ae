"""Random policies from small pools, so that objects often refer to each other; for unit and switch tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from flows.policy.objects import (
    AddressGroup,
    AddressPair,
    Direction,
    EgressDefault,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
    SubnetDetail,
)
from sgctl.attributes.attribute import Place
from sgctl.attributes.plain import DEFAULTS, plain
from tests.declared import good_values

NETWORKS = ("blue", "red")
GROUPS = ("g0", "g1", "g2", "g3")
ADDRESS_GROUPS = ("a0", "a1")
PORTS = tuple(f"p{n}" for n in range(5))
RULES = tuple(f"r{n}" for n in range(12))

SEGMENTS = {"blue": 100, "red": 200}
ADDRESSES = tuple(
    Prefix.parse(f"{stem}{n}") for stem in ("10.0.0.", "10.0.1.", "2001:db8::") for n in range(1, 6)
)
_CIDRS_4 = "0.0.0.0/0 128.0.0.0/1 10.0.0.0/8 10.0.0.0/24 10.0.0.0/30 10.0.0.2"
_CIDRS_4_OUTSIDE = "192.0.2.0/24 192.0.2.128/25 192.0.2.129"
_CIDRS_6 = "::/0 2001:db8::/32 2001:db8::/64 2001:db8::/126 2001:db8::2 2001:db8:f::/48 fe80::/10"
_OUTSIDE_4 = "10.0.0.77 192.0.2.1 192.0.2.129 198.51.100.1"
_OUTSIDE_6 = "2001:db8::77 2001:db8:f::1 2001:db9::1"


def _parse(*texts: str) -> tuple[Prefix, ...]:
    return tuple(Prefix.parse(word) for text in texts for word in text.split())


OUTSIDE = _parse(_OUTSIDE_4, _OUTSIDE_6)
PREFIXES = _parse(_CIDRS_4, _CIDRS_4_OUTSIDE, _CIDRS_6)
SUBNETS = tuple(prefix for prefix in PREFIXES if 0 < prefix.length < prefix.bits)
PORT_EDGES = (0, 1, 21, 22, 23, 80, 1023, 1024, 6000, 6003, 32768, 65534, 65535)
DSCPS = (0, 1, 46, 63)
ICMP_TYPES = {4: (8, 0, 3, 11), 6: (128, 129, 1, 2)}
PAIR_MACS = ("02:00:00:00:01:01", "02:00:00:00:01:02")


def mac_of(port: str) -> str:
    """The MAC of a port of the pool."""
    return f"02:00:00:00:00:{PORTS.index(port) + 1:02x}"


def plain_fields(kind: type[PolicyObject]) -> dict[str, SearchStrategy[Any]]:
    """Values of the attributes that only their declarations handle, mostly the default, by field."""
    return {
        each.field: st.sampled_from(
            [DEFAULTS[kind][each.field]] * 2 + list(map(each.value_type.parse, good_values(each)))
        )
        for each in plain(kind, Place.MANIFEST)
    }


@st.composite
def networks(draw: st.DrawFn, network: str) -> Network:
    subnets = draw(st.lists(st.sampled_from(SUBNETS), max_size=3, unique=True))
    described = [subnet for subnet in subnets if subnet.covers(ADDRESSES[0]) and draw(st.booleans())]
    gateways = st.sampled_from([None, *ADDRESSES[:2]])
    own: dict[str, SearchStrategy[Any]] = {
        "id": st.just(network),
        "name": st.just(network),
        "segmentation_id": st.sampled_from([None, SEGMENTS[network]]),
        "subnets": st.just(tuple(subnets)),
        "address_scope": st.sampled_from([None, "corp", "red"]),
        "egress_default": st.sampled_from(EgressDefault),
        "default_group": st.sampled_from([None, *GROUPS]),
        "subnet_details": st.tuples(
            *(st.builds(SubnetDetail, st.just(each), gateway=gateways) for each in described)
        ),
    }
    return draw(st.builds(Network, **plain_fields(Network) | own))


def groups(group: str) -> SearchStrategy[SecurityGroup]:
    """Mostly stateful."""
    stateful = st.sampled_from([True] * 7 + [False])
    own = {"id": st.just(group), "name": st.just(group), "stateful": stateful}
    return st.builds(SecurityGroup, **plain_fields(SecurityGroup) | own)


def address_groups(group: str) -> SearchStrategy[AddressGroup]:
    addresses = st.frozensets(st.sampled_from([*PREFIXES, *ADDRESSES]), max_size=4)
    own = {"id": st.just(group), "name": st.just(group), "addresses": addresses}
    return st.builds(AddressGroup, **plain_fields(AddressGroup) | own)


def address_pairs(port: str) -> SearchStrategy[AddressPair]:
    macs = st.sampled_from([mac_of(port), *PAIR_MACS, *map(mac_of, PORTS)])
    return st.builds(AddressPair, macs, st.sampled_from([*PREFIXES, *ADDRESSES]))


@st.composite
def ports(draw: st.DrawFn, port: str) -> Port:
    secure = draw(st.sampled_from([True] * 7 + [False]))
    few_groups = st.frozensets(st.sampled_from(GROUPS), max_size=3)
    pairs = st.lists(address_pairs(port), max_size=2, unique=True)
    ethertypes = st.sampled_from([frozenset[int]()] * 7 + [frozenset([0x88CC, 0x8809])])
    own = {
        "port_security_enabled": st.just(secure),
        "admin_state_up": st.sampled_from([True] * 9 + [False]),
    }
    return Port(
        id=port,
        name=port,
        network_id=draw(st.sampled_from(NETWORKS)),
        mac=mac_of(port),
        iface_id=port,
        fixed_ips=tuple(draw(st.lists(st.sampled_from(ADDRESSES), max_size=3, unique=True))),
        security_groups=draw(few_groups) if secure else frozenset(),
        allowed_address_pairs=tuple(draw(pairs)) if secure else (),
        permitted_ethertypes=draw(ethertypes) if secure else frozenset(),
        **draw(st.fixed_dictionaries(plain_fields(Port) | own)),
    )


@st.composite
def services(draw: st.DrawFn, version: int) -> dict[str, Any]:
    """The service of a rule, as keywords."""
    icmp = 1 if version == 4 else 58
    protocol = draw(st.sampled_from([None, 6, 6, 17, 132, icmp, 47]))
    if protocol in (None, 47) or draw(st.integers(0, 3)) == 0:
        low, high = None, None
    elif protocol == icmp:
        low, high = draw(st.sampled_from(ICMP_TYPES[version])), draw(st.sampled_from([None, 0, 1]))
    else:
        low, high = sorted(draw(st.lists(st.sampled_from(PORT_EDGES), min_size=2, max_size=2)))
    dscp = draw(st.sampled_from([None, None, None, *DSCPS]))
    return {"protocol": protocol, "port_range_min": low, "port_range_max": high, "ip_dscp": dscp}


def remotes(version: int) -> SearchStrategy[dict[str, str | Prefix]]:
    """At most one remote of a rule, as keyword."""
    cidrs = st.sampled_from([prefix for prefix in PREFIXES if prefix.version == version])
    return st.one_of(
        st.just({}),
        st.sampled_from(GROUPS).map(lambda group: {"remote_group_id": group}),
        cidrs.map(lambda prefix: {"remote_ip_prefix": prefix}),
        st.sampled_from(ADDRESS_GROUPS).map(lambda group: {"remote_address_group_id": group}),
        st.sampled_from(NETWORKS).map(lambda network: {"remote_network_id": network}),
    )


@st.composite
def rules(draw: st.DrawFn, rule: str, numbers: SearchStrategy[int]) -> Rule:
    ethertype = draw(st.sampled_from(Ethertype))
    return Rule(
        id=rule,
        number=draw(numbers),
        group_id=draw(st.sampled_from(GROUPS)),
        direction=draw(st.sampled_from(Direction)),
        ethertype=ethertype,
        **draw(services(ethertype.version)),
        **draw(remotes(ethertype.version)),  # type: ignore[arg-type]  # one keyword of the right type
    )


@st.composite
def policies(draw: st.DrawFn) -> list[PolicyObject]:
    """A whole policy: all networks and groups of the pools, some ports and rules.

    Rule numbers spread over several priority bands.
    """
    chosen_rules = draw(st.lists(st.sampled_from(RULES), max_size=len(RULES), unique=True))
    chosen_ports = draw(st.lists(st.sampled_from(PORTS), min_size=1, unique=True))
    spacing = draw(st.sampled_from([1, 700]))
    numbers = {rule: st.just(16 + spacing * index) for index, rule in enumerate(RULES)}
    return [
        *(draw(networks(network)) for network in NETWORKS),
        *(draw(groups(group)) for group in GROUPS),
        *(draw(address_groups(group)) for group in ADDRESS_GROUPS),
        *(draw(rules(rule, numbers[rule])) for rule in chosen_rules),
        *(draw(ports(port)) for port in sorted(chosen_ports)),
    ]
