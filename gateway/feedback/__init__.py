"""What people think of answers: taking their ratings."""
