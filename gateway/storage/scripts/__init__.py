"""Transaction scripts: SQL that every engine runs. They know no engine and no wire."""
