"""The edge: HTTP, the command line, and the one place that composes everything."""
