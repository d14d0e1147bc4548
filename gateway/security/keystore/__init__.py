"""The gateway's own keys."""
