"""Codecs: bytes to domain values and back. No I/O here, so that every byte can be tested without a socket."""
