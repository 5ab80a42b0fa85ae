"""Base class for whatever runs during a `with` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Running(ABC):
    """Started on entering a `with` block; closed on leaving it, and also when the start fails."""

    @abstractmethod
    def start(self) -> None:
        """Start; everything is ready when this returns."""

    @abstractmethod
    def close(self) -> None:
        """Stop whatever was started, and remove its files and devices; may be called twice."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
