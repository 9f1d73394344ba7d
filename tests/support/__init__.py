"""The doubles, helpers and clients that tests share. A fixture lies in the conftest.py of the folder that uses it.

Processes: servers.py (the gateway), chaos.py (a gateway and its misbehaving provider), reference.py (those by others),
postgres.py. Doubles: runs.py and router.py (harnesses), asgi.py (a client by hand), upstream.py and playback.py
(providers by hand), clock.py. Clients: http_client.py, readers.py, load_client.py, mlflow_client.py. Values: rows.py,
activities.py, golden.py, hostile_text.py, provider_streams.py.
"""
