"""An OVSDB client (RFC 7047): a replica of a database's rows, and transactions."""
