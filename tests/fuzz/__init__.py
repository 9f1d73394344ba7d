"""A coverage-guided fuzz of what reads other people's bytes."""
