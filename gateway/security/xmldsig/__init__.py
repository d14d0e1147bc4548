"""XML signatures: what is accepted, and our own."""
