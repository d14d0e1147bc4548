"""Drills: what an operator does after a disaster, done for real and counted."""
