"""Patches: a change as a commit-to-be, its review, and its way into the repository through a passing run."""
