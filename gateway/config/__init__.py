"""The configuration: its types, how a file becomes one, and how a change of it is noticed."""
