"""An OVSDB client (RFC 7047): rows that keep themselves current, and transactions."""
