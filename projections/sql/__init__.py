"""SQL of the read models: migrations and named queries."""
