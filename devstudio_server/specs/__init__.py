"""Spec sessions: requirements, design and tasks as versioned documents, and what is derived from them."""
