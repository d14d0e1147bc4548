"""Couriers: one per destination, each carrying what is due there, so that none waits for another."""

from gateway.delivery.backend import BackendCourier
from gateway.delivery.backoff import delay
from gateway.delivery.publishing import Naming, PublishCourier
from gateway.delivery.push import PushCourier, Sender, Undeliverable

__all__ = ["BackendCourier", "Naming", "PublishCourier", "PushCourier", "Sender", "Undeliverable", "delay"]
