from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

def cut(
    make: Callable[[str, tuple[tuple[str, ...], ...], int, int], T],
    texts: list[str],
    offsets: list[int],
    index: int,
    element: str,
    component: str,
    tags: set[str],
    number: int,
    most: int,
    /,
) -> list[T]: ...
