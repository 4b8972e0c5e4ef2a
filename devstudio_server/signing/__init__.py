"""Signatures: the server's Ed25519 keys, and what is signed with them."""
