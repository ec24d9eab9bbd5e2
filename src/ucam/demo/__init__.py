"""`ucam demo`: web, storage and synthetic cameras on this machine, as a newcomer sees them.

It runs the real services as processes of their own and talks to them only in the ways that
anybody has: configuration files, commands, systemd's readiness protocol, HTTP.
"""
