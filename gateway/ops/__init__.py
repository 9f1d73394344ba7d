"""Commands for whoever runs the gateway: report, export, erase. The CLI calls commands.py."""
