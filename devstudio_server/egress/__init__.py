"""Egress: leases of domains that runs may reach, the proxy that holds runs to them, and the log of what they asked."""
