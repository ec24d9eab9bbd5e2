"""The room's language: the messages that devices and people exchange over `/ws`.

Errors: `ProtocolError`, a `ValueError` that says what is wrong with a message.
"""
