"""Evidence: what the journal says and how it is bound together; pure."""
