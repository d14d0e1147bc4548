"""Other EDIFACT parsers, installed into a throw-away folder and run in processes of their own.

``python -m bench.edifact_peers`` compares verdicts on the odd interchanges; ``bench.edifact`` takes times.
No peer is a dependency of the product; one that cannot be installed is left out, and the tables say so.
"""

from bench.edifact_peers.bounds import Bounds, Failed, run
from bench.edifact_peers.peers import PEERS, Peer, installed

__all__ = ["PEERS", "Bounds", "Failed", "Peer", "installed", "run"]
