"""The result of a verification. Contents: `Verified`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verified:
    """Whether one recorded number, or all of one record, came back."""

    name: str
    reproduced: bool
    text: str  # what was equal, or what was not and why

    def __str__(self) -> str:
        return f"{self.name}: {'' if self.reproduced else 'not reproduced: '}{self.text}"
