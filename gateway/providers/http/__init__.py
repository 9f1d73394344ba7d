"""An HTTP/1.1 client whose replies come by plain calls."""
