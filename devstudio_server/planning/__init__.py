"""Planning and code generation: what is asked of a model, and what becomes of its answer."""
