"""The read side: models that billing and others read, each folded from the log and rebuilt at will."""
