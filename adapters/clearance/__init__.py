"""An embedded customs office: the back end of a demonstration customs, or of a small port's."""

from adapters.clearance.clearance import Clearance, wall_clock
from adapters.clearance.office import CaseLine, CaseView, Office, Unknown
from adapters.clearance.progress import NotAllowed
from adapters.clearance.settings import Config, ConfigBroken, load
from adapters.clearance.states import Channel, Move, State
from adapters.clearance.tables import SchemaTooNew

__all__ = [
    "CaseLine",
    "CaseView",
    "Channel",
    "Clearance",
    "Config",
    "ConfigBroken",
    "Move",
    "NotAllowed",
    "Office",
    "SchemaTooNew",
    "State",
    "Unknown",
    "load",
    "wall_clock",
]
