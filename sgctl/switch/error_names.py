"""The names of OpenFlow's errors, as Ryu lists them (OpenFlow 1.4 section 7.4.4)."""

from __future__ import annotations

from ryu.ofproto import ofproto_v1_4

from sgctl.switch.messages import SwitchError


def error_text(refusal: SwitchError) -> str:
    """The error's type and code as text, with names and numbers."""
    kind, code, experimenter = refusal
    if experimenter is not None:
        return f"OFPET_EXPERIMENTER({experimenter:#x}), {code}"
    names = ofproto_v1_4.ofp_error_type_to_str(kind), ofproto_v1_4.ofp_error_code_to_str(kind, code)
    return ", ".join(names)
