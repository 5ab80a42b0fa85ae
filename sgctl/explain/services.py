"""Sets of services: protocols with ranges of destination ports, or of ICMP types and codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flows.policy.objects import Rule
from sgctl.service import protocols

Range = tuple[int, int]
FULL: Range = (0, 0xFFFF)
_ICMP = (1, 58)
_CODES = 0xFF


@dataclass(frozen=True)
class Services:
    """Inclusive ranges by protocol number, sorted and disjoint; `everything` means every protocol.

    A range holds destination ports, for ICMP 256 × type + code; it is FULL for protocols that have neither.
    """

    everything: bool = False
    ranges: Mapping[int, tuple[Range, ...]] = field(default_factory=dict)

    @classmethod
    def of_rule(cls, rule: Rule) -> Services:
        """The services that a rule allows."""
        if rule.protocol is None:
            return ALL
        low, high = rule.port_range_min, rule.port_range_max
        if low is None:
            return cls(ranges={rule.protocol: (FULL,)})
        if rule.protocol in _ICMP:
            codes = (0, _CODES) if high is None else (high, high)
            return cls(ranges={rule.protocol: ((low << 8 | codes[0], low << 8 | codes[1]),)})
        return cls(ranges={rule.protocol: ((low, low if high is None else high),)})

    @classmethod
    def one(cls, protocol: int, first: int, second: int) -> Services:
        """A single service, by ports or by ICMP type and code (`first` and `second`)."""
        number = first << 8 | second if protocol in _ICMP else second
        return cls(ranges={protocol: ((number, number),)})

    def __bool__(self) -> bool:
        return self.everything or bool(self.ranges)

    def __and__(self, other: Services) -> Services:
        if self.everything or other.everything:
            return other if self.everything else self
        common = {
            protocol: tuple(_common(self.ranges[protocol], other.ranges[protocol]))
            for protocol in self.ranges.keys() & other.ranges.keys()
        }
        return Services(ranges={protocol: ranges for protocol, ranges in common.items() if ranges})

    def shown(self) -> list[str]:
        """`all`, or `tcp/80`, `udp/6000-6003`, `icmp type 8 code 0`, `gre`, in order."""
        if self.everything:
            return ["all"]
        return [word for protocol in sorted(self.ranges) for word in _shown(protocol, self.ranges[protocol])]


ALL = Services(everything=True)


def union(parts: Iterable[Services]) -> Services:
    """All services that are in any of the parts."""
    ranges: defaultdict[int, list[Range]] = defaultdict(list)
    for part in parts:
        if part.everything:
            return ALL
        for protocol, some in part.ranges.items():
            ranges[protocol] += some
    return Services(ranges={protocol: tuple(_merged(some)) for protocol, some in ranges.items()})


def _merged(ranges: list[Range]) -> Iterator[Range]:
    low, high = min(ranges)
    for begin, end in sorted(ranges):
        if begin > high + 1:
            yield low, high
            low = begin
            high = end
        high = max(high, end)
    yield low, high


def _common(some: Iterable[Range], others: tuple[Range, ...]) -> Iterator[Range]:
    for low, high in some:
        for begin, end in others:
            if max(low, begin) <= min(high, end):
                yield max(low, begin), min(high, end)


def _shown(protocol: int, ranges: tuple[Range, ...]) -> Iterator[str]:
    name = str(protocols.show(protocol))
    for low, high in ranges:
        if (low, high) == FULL:
            yield name
        elif protocol in _ICMP:
            yield from (f"{name} type {kind}{codes}" for kind, codes in _types(low, high))
        else:
            yield f"{name}/{_span(low, high)}"


def _types(low: int, high: int) -> Iterator[tuple[int, str]]:
    for kind in range(low >> 8, (high >> 8) + 1):
        begin, end = max(low, kind << 8) & _CODES, min(high, kind << 8 | _CODES) & _CODES
        yield kind, "" if (begin, end) == (0, _CODES) else f" code {_span(begin, end)}"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"
