"""Certificates for tests, made with openssl(1)."""

from __future__ import annotations

from pathlib import Path

from lab.process import run

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


class Authority:
    """A certificate authority. `directory` holds `ca.pem`, and a key and a certificate for each name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._request("ca", "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self.directory / "ca.pem"

    def issue(self, name: str, *, alternative: str = "", file: str = "") -> tuple[Path, Path]:
        """Make a key and a certificate with common name `name` and a subjectAltName, in the files `file`."""
        file = file or name
        extension = ("-addext", f"subjectAltName={alternative}") if alternative else ()
        signed = ("-CA", str(self.certificate), "-CAkey", str(self.directory / "ca.key"))
        end = ("-addext", "basicConstraints=critical,CA:FALSE")
        self._request(file, *signed, "-subj", f"/CN={name}", *end, *extension)
        return self.directory / f"{file}.key", self.directory / f"{file}.pem"

    def _request(self, file: str, *arguments: str) -> None:
        key, certificate = self.directory / f"{file}.key", self.directory / f"{file}.pem"
        run(["openssl", "req", "-x509", *_NEW_KEY, *arguments, "-keyout", key, "-out", certificate])
