from lxml import etree

from gateway.model import Entity, Value

class Table: ...

def table(
    nodes: tuple[tuple[tuple[str, str, str, str, str, frozenset[str], int], ...], ...],
    value: type[Value],
    entity: type[Entity],
    /,
) -> Table: ...
def read(table: Table, element: etree._Element, index: int, name: str, /) -> Entity | None: ...
