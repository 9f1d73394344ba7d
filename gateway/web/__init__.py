"""HTTP and WebSocket: a table of routes, thin handlers over the spine, and the edge around them. Plain ASGI."""
