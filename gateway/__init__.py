"""The message gateway of a customs value-added network; docs/contributor.md is the map of its rooms."""
