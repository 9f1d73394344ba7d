"""The values that all layers share: requests, events, traces, ratings and IDs. They do no I/O."""
