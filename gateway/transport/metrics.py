"""Metrics in Prometheus' text form, on a registry of their own; labels come from closed sets only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.transport.line import Rank

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Seconds: a small message takes about a millisecond, the largest some seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Seconds: a large one takes as many as it has megabytes, or more where the cores have other work.
LARGE_BUCKETS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)
# Codes of findings are a closed set, but a large one; a registry keeps this many and sums up the rest.
MAX_CODES = 256
OTHER = "other"
DELIVERY_KINDS = ("backend", "answer", "push", "publish")
BROKEN = ("closed", "open", "half-open")
"""States of a destination that has failed; one that works is not counted."""
ADMITTED, LATE = "admitted", "late"
"""What became of a submission at the door, where no finding says it: its turn came; or it came too late."""
NOT_HERE = float("nan")
"""A figure that another process has."""


class Metrics:
    """The doors' figures.  ``by_partner``: count submissions per partner too; off unless the operator
    says so, as each partner makes a new series."""

    def __init__(self, *, by_partner: bool = False) -> None:
        self.registry = CollectorRegistry()
        self.by_partner = by_partner
        self._codes: set[str] = set()
        # Looking a series up by its labels takes four times as long as counting in it.
        self._answers: dict[tuple[str, bool, str], Counter] = {}
        self._kinds: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._admissions: dict[tuple[str, str], Counter] = {}
        self._make_requests()
        self._make_deliveries()
        self._make_standing()
        self._make_admission()
        self._make_large()

    def _make_requests(self) -> None:
        """Answers to partners."""
        labels = ["outcome", "repeated", *(["partner"] if self.by_partner else [])]
        self._submissions = Counter(
            "cvan_submissions", "Submissions answered with a signed receipt", labels, registry=self.registry
        )
        self._requests = Counter(
            "cvan_requests", "Requests answered", ["operation", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "cvan_request_seconds",
            "Seconds from the head of a request to its reply",
            ["operation"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "cvan_refusals", "Requests refused at the door, by finding", ["code"], registry=self.registry
        )
        self._pushes = Counter(
            "cvan_pushes", "Attempts to push to partners, by result", ["result"], registry=self.registry
        )
        self._fetched = Counter(
            "cvan_mailbox_fetched", "Messages fetched from mailboxes", registry=self.registry
        )
        self._acknowledged = Counter(
            "cvan_mailbox_acknowledged", "Messages acknowledged in mailboxes", registry=self.registry
        )

    def _make_deliveries(self) -> None:
        """What is on its way, and what was promised for when."""
        self._deliveries = Gauge(
            "cvan_deliveries",
            "Deliveries that wait, by kind and state",
            ["kind", "state"],
            registry=self.registry,
        )
        self._broken = Gauge(
            "cvan_destinations_failing",
            "Destinations that failed as a whole when they were last tried, by kind and state of their breaker",
            ["kind", "state"],
            registry=self.registry,
        )
        self._overdue = Gauge(
            "cvan_deliveries_overdue_seconds",
            "Seconds that the first delivery has waited, whenever it is tried next, by kind",
            ["kind"],
            registry=self.registry,
        )
        self._late = Counter(
            "cvan_filings_late",
            "Declarations accepted after the time agreed with who signed them",
            registry=self.registry,
        )
        self._answered = Counter(
            "cvan_answers",
            "First decisions on declarations for which a time was agreed: in time or not",
            ["deadline"],
            registry=self.registry,
        )
        for deadline in ("met", "missed"):
            self._answered.labels(deadline)

    def _make_standing(self) -> None:
        """What the gateway and its partners stand on: certificates, the ledger, the disk."""
        self._asked = Counter(
            "cvan_revocation_asked",
            "Certificates whose revocation was asked after, by kind of source and result",
            ["source", "result"],
            registry=self.registry,
        )
        self._held = Gauge(
            "cvan_held", "Submissions that wait until they can be judged", registry=self.registry
        )
        self._expiring = Gauge(
            "cvan_partner_certificate_expires",
            "Certificates of partners that end within so many days and that nothing replaces, or have ended",
            ["within"],
            registry=self.registry,
        )
        self._own_certificates = Gauge(
            "cvan_certificate_expires_seconds",
            "Seconds until the gateway itself has no valid certificate for a use",
            ["use"],
            registry=self.registry,
        )
        self._ledger = Gauge(
            "cvan_ledger_up", "1 where the ledger answered last, 0 where it did not", registry=self.registry
        )
        self._checkpoint = Gauge(
            "cvan_checkpoint_age_seconds",
            "Seconds since every entry of the journal was under a signed checkpoint",
            registry=self.registry,
        )
        self._checkpoint.set(NOT_HERE)
        self._doors = Gauge(
            "cvan_doors", "Door processes, wanted and open", ["state"], registry=self.registry
        )
        self._home = Gauge(
            "cvan_home_bytes", "Octets of the disk that holds the home", ["state"], registry=self.registry
        )

    def _make_admission(self) -> None:
        """What is let in, and what waits."""
        self._admission = Counter(
            "cvan_admission",
            "Submissions at the door, by class and what became of them",
            ["class", "outcome"],
            registry=self.registry,
        )
        self._waited = Histogram(
            "cvan_line_seconds",
            "Seconds that submissions waited for their turn, by class",
            ["class"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._waits = {rank.name: self._waited.labels(rank.name) for rank in Rank}
        self._line = Gauge(
            "cvan_line", "Submissions that wait for their turn, by class", ["class"], registry=self.registry
        )
        self._drain = Gauge(
            "cvan_drain_rate",
            "Submissions a second that were done while others waited, as measured last; 0 where none ever did",
            registry=self.registry,
        )
        self._in_flight = Gauge("cvan_in_flight", "Submissions inside the gateway", registry=self.registry)
        self._bytes_held = Gauge("cvan_bytes_held", "Octets of bodies in memory", registry=self.registry)
        self.turned_away = Counter(
            "cvan_connections_refused",
            "Connections closed before their TLS handshake",
            registry=self.registry,
        )
        self.connections = Gauge("cvan_connections", "Open connections", registry=self.registry)

    def _make_large(self) -> None:
        """Large messages: those that are kept and not judged yet, and what their octets take."""
        self._large = Gauge(
            "cvan_large", "Large submissions that are kept and not judged yet", registry=self.registry
        )
        self._large_age = Gauge(
            "cvan_large_oldest_seconds",
            "Seconds since the first of them was received; 0 where there is none",
            registry=self.registry,
        )
        self._large_seconds = Histogram(
            "cvan_large_seconds",
            "Seconds from when a large submission was received until it was judged",
            buckets=LARGE_BUCKETS,
            registry=self.registry,
        )
        self._spool = Gauge(
            "cvan_spool_bytes",
            "Octets in the spool of large bodies, and as many as there may be",
            ["state"],
            registry=self.registry,
        )

    def large(self, count: int, oldest: float) -> None:
        """So many large submissions are kept and not judged yet; seconds since the first was received."""
        self._large.set(count)
        self._large_age.set(oldest)

    def large_judged(self, seconds: float) -> None:
        """A large submission was judged, so long after it was received."""
        self._large_seconds.observe(seconds)

    def spool(self, used: Callable[[], float], most: int) -> None:
        """Octets in the spool are asked for when the figures are."""
        self._spool.labels("used").set_function(used)
        self._spool.labels("most").set(most)

    def own_certificate(self, use: str, seconds: Callable[[], float]) -> None:
        """Until when the gateway has a valid certificate for a use is asked for when the figures are."""
        self._own_certificates.labels(use).set_function(seconds)

    def watch(self, in_flight: Callable[[], float], bytes_held: Callable[[], float]) -> None:
        """What is inside the gateway is asked for when the figures are, not told at each change."""
        self._in_flight.set_function(in_flight)
        self._bytes_held.set_function(bytes_held)

    def watch_line(self, waiting: Mapping[Rank, int], drain: Callable[[], float]) -> None:
        """How many wait, by class (Rank), and how fast they are done, is asked for when the figures are."""
        for rank in Rank:
            self._line.labels(rank.name).set_function(partial(waiting.__getitem__, rank))
        self._drain.set_function(drain)

    def admitted(self, rank: str, outcome: str) -> None:
        """A submission of the class was let in, or was refused: ADMITTED, LATE or the finding's code."""
        series = self._admissions.get((rank, outcome))
        if series is None:
            series = self._admissions[rank, outcome] = self._admission.labels(rank, outcome)
        series.inc()

    def waited(self, rank: str, seconds: float) -> None:
        """A submission of the class has waited so long for its turn, which has come."""
        self._waits[rank].observe(seconds)

    def submitted(self, outcome: str, *, repeated: bool, partner: str) -> None:
        """A submission was answered."""
        key = (outcome, repeated, partner if self.by_partner else "")
        series = self._answers.get(key)
        if series is None:
            labels = (outcome, str(repeated).lower(), *((partner,) if self.by_partner else ()))
            series = self._answers[key] = self._submissions.labels(*labels)
        series.inc()

    def requested(self, operation: str, status: int, seconds: float) -> None:
        """A request was answered; ``operation`` is a row of the table, or ``none``."""
        series = self._kinds.get((operation, status))
        if series is None:
            series = self._requests.labels(operation, str(status)), self._seconds.labels(operation)
            self._kinds[operation, status] = series
        series[0].inc()
        series[1].observe(seconds)

    def refused(self, code: str) -> None:
        """A request was refused with a finding."""
        if code not in self._codes:
            if len(self._codes) >= MAX_CODES:
                code = OTHER
            else:
                self._codes.add(code)
        self._refusals.labels(code).inc()

    def pushed(self, result: str) -> None:
        """An attempt to push ended: ``delivered`` or the finding's code."""
        self._pushes.labels(result).inc()

    def deliveries(self, state: str, by_destination: Mapping[str, int]) -> None:
        """So many deliveries are ``due`` or ``dead`` now.  A destination's kind is what stands before its
        colon (``push:anphat``); its name would make a new series for each partner."""
        totals = dict.fromkeys(DELIVERY_KINDS, 0)
        for destination, number in by_destination.items():
            kind = destination.partition(":")[0]
            if kind in totals:
                totals[kind] += number
        for kind, number in totals.items():
            self._deliveries.labels(kind, state).set(number)

    def failing(self, by_destination: Mapping[str, str]) -> None:
        """The state of each destination that failed: one of BROKEN."""
        totals = {(kind, state): 0 for kind in DELIVERY_KINDS for state in BROKEN}
        for destination, state in by_destination.items():
            key = destination.partition(":")[0], state
            if key in totals:
                totals[key] += 1
        for (kind, state), number in totals.items():
            self._broken.labels(kind, state).set(number)

    def overdue(self, by_destination: Mapping[str, float]) -> None:
        """So long the first delivery to each destination has waited; the longest of a kind is told."""
        latest = dict.fromkeys(DELIVERY_KINDS, 0.0)
        for destination, seconds in by_destination.items():
            kind = destination.partition(":")[0]
            if kind in latest:
                latest[kind] = max(latest[kind], seconds)
        for kind, seconds in latest.items():
            self._overdue.labels(kind).set(seconds)

    def ledger(self, *, up: bool) -> None:
        """The ledger answered, or did not."""
        self._ledger.set(up)

    def checkpoint(self, age: Callable[[], float]) -> None:
        """Seconds since the last signed checkpoint are asked for when the figures are."""
        self._checkpoint.set_function(age)

    def doors(self, wanted: int, answering: Callable[[], float]) -> None:
        """So many doors there should be; how many are open is asked for when the figures are."""
        self._doors.labels("wanted").set(wanted)
        self._doors.labels("open").set_function(answering)

    def home(self, free: Callable[[], float], size: Callable[[], float]) -> None:
        """Octets of the home's disk, asked for when the figures are."""
        self._home.labels("free").set_function(free)
        self._home.labels("size").set_function(size)

    def asked(self, source: str, result: str) -> None:
        """A certificate's revocation was asked after: ``source`` is ocsp, crl or none; ``result`` good,
        revoked, unknown or a finding's code."""
        self._asked.labels(source, result).inc()

    def late(self, count: int) -> None:
        """So many declarations were accepted although they were late."""
        self._late.inc(count)

    def answered(self, in_time: bool) -> None:
        """A declaration for which a time was agreed was first decided on."""
        self._answered.labels("met" if in_time else "missed").inc()

    def held(self, count: int) -> None:
        """How many submissions wait until they can be judged."""
        self._held.set(count)

    def expiring(self, within: Mapping[str, int]) -> None:
        """So many certificates of partners end within ``7d``, ``30d`` and ``60d``, or have ``ended``."""
        for days, number in within.items():
            self._expiring.labels(days).set(number)

    def fetched(self) -> None:
        """A message of a mailbox was fetched."""
        self._fetched.inc()

    def acknowledged(self, count: int) -> None:
        """So many messages were acknowledged."""
        self._acknowledged.inc(count)

    def exposition(self) -> bytes:
        """All figures as text."""
        return generate_latest(self.registry)
