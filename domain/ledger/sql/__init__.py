"""SQL of the log: migrations and named queries."""
