"""Says in a few words why a connection failed, for the log and the trace: never with an address.

What the caller hears is client.py's and connection.py's, which use this.
"""

from __future__ import annotations

import errno
import socket
import ssl

_CERTIFICATES = {  # OpenSSL's X509_V_ERR_…
    10: "expired",
    18: "self-signed",
    19: "self-signed",
    20: "of an unknown issuer",
    62: "of another host",
    64: "of another host",
}
_SYSTEM = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}


class ProxyRefused(ConnectionError):
    """The proxy doesn't open a tunnel. `status` is its line's, such as 407."""

    def __init__(self, status: str) -> None:
        super().__init__("the proxy refused to connect")
        self.status = status


def cause_of(error: BaseException) -> str:
    """Return why a connection failed, in words without an address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate {_CERTIFICATES.get(error.verify_code, 'not trusted')}"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "name not found"
    if isinstance(error, TimeoutError):
        return "connection timed out"
    if isinstance(error, ProxyRefused):
        return f"proxy refused: {error.status}"
    if isinstance(error, OSError):
        return _SYSTEM.get(error.errno or 0, "connection failed")
    return "connection closed"  # amid what a proxy says
