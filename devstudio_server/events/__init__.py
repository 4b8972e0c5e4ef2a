"""The event stream: each change as a numbered row of its tenant, written with the change itself."""
