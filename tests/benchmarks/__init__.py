"""Benchmarks: what we do beside what a peer does, in the same run. docs/benchmarks.md says what and why."""
