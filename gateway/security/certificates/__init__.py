"""Certificates: whose a key is, by which path from an anchor."""
