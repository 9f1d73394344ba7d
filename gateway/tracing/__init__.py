"""From what happened in a run to the trace that is stored."""
