"""Programs that try to get out of a sandbox, one attempt each; they need nothing but Python's standard library.

They are copied into a sandbox and run there as ``python3 -m probes NAME``.
"""
