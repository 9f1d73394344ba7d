"""Pure values: what a chat, an event, a trace and a rating are. No I/O here."""
