"""The sandbox vendor: a loopback HTTP server that speaks Microsoft Partner Center's order contract, and Adobe's beside it.

It is a separate process with its own durable ledger, so that the portal can be killed, restarted and restored
while the vendor remembers what was really bought.  It imports nothing from the portal and nothing outside the
standard library: only the base URL, the login authority and the credentials differ from the real vendor.
"""
