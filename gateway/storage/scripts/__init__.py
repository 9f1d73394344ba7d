"""Transaction scripts by subject: SQL that every engine runs. They know no engine and no wire.

`traces.py` says what a script is and what it must keep to.
"""
