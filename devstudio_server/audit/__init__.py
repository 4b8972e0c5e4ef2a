"""The audit: who did what, append-only and hash-chained, written in the transaction of the deed."""
