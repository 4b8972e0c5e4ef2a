"""Bundles of evidence: exported for one task or session, checked by anyone with `devstudio_evidence`."""
