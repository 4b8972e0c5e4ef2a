"""Runs: work in the sandbox, with its log, its report and its final status."""
