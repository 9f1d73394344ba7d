"""Where traces, ratings and keys live. `base` is the protocol; `sql` the statements; `sqlite` the engine."""
