"""Protocols that negotiate further connections inside a connection: the further ones need their own rules.

Sources: RFC 959 (FTP), RFC 1350 section 4 (TFTP), RFC 3261 (SIP), RFC 2326 (RTSP), ITU-T H.323, RFC 2637
(PPTP).
"""

from __future__ import annotations

from flows.reference.packet import TCP, UDP, Conversation

_MEDIA = "agrees on other ports for the media, and those need rules of their own"
_FTP = (
    "FTP opens another connection for every file and listing. Passive mode needs an ingress rule for the "
    "server's range of passive ports; active mode needs one at the client for tcp from the server"
)
_TFTP = (
    "a TFTP server sends the file from a port other than 69. The client needs an ingress rule for udp from "
    "the server, or the server needs an option that makes it answer from port 69"
)
_NOTES = {
    (TCP, 21): _FTP,
    (UDP, 69): _TFTP,
    (UDP, 5060): f"SIP {_MEDIA}",
    (TCP, 5060): f"SIP {_MEDIA}",
    (TCP, 554): f"RTSP {_MEDIA}",
    (TCP, 1720): f"H.323 {_MEDIA}",
    (TCP, 1723): "PPTP carries its data in GRE (protocol 47), which needs a rule of its own",
}


def note_on(opening: Conversation) -> str | None:
    """What else a connection to this service needs; None when it needs nothing."""
    return _NOTES.get((opening.protocol, opening.second))
