"""Couriers: one per destination, each carrying what is due there, so that none waits for another."""

from gateway.delivery.backend import BackendCourier
from gateway.delivery.backoff import delay
from gateway.delivery.push import PushCourier, Sender, Undeliverable

__all__ = ["BackendCourier", "PushCourier", "Sender", "Undeliverable", "delay"]
