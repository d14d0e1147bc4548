from lxml import etree

from gateway.model import Entity, Value

def table(
    nodes: tuple[tuple[tuple[str, str, str, str, str, frozenset[str], int], ...], ...],
    value: type[Value],
    entity: type[Entity],
    /,
) -> object: ...
def read(table: object, element: etree._Element, index: int, name: str, /) -> Entity | None: ...
