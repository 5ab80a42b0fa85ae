"""What runs for the time of a `with`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Running(ABC):
    """Started on entering a `with`; closed on leaving it, and also when it could not start."""

    @abstractmethod
    def start(self) -> None:
        """Bring it up; when this returns it is ready."""

    @abstractmethod
    def close(self) -> None:
        """Stop whatever has been started, and remove what it left; may be called twice."""

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
