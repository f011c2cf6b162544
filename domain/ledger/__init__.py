"""The log itself: the one part of the domain that does input and output."""
