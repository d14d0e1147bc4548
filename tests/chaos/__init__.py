"""Chaos: faults by the thousand under load, and a count of what became of everything, from the outside."""
