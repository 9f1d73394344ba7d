"""An HTTP/1.1 client that passes responses on by plain calls: client.py, dial.py, pool.py and connection.py."""
