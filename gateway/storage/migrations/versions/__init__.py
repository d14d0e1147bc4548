"""Frozen schema steps, one module each."""
