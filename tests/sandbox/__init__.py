"""Tests of the sandbox vendor over real HTTP, without the portal."""
