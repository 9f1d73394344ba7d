"""Every double and fixture that tests share."""
