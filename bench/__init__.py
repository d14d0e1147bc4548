"""Benches: commands that print ratios against a limit or a peer measured in the same run."""
