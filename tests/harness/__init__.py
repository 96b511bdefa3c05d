"""What the tests stand on: databases, processes, a browser, and a small world to act in."""
