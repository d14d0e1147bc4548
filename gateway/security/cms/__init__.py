"""Cryptographic Message Syntax (RFC 5652): signatures over any octets."""
