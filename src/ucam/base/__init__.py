"""What every part needs: names (JID), configuration, tokens, service lifecycle, logging.

Errors: `JIDError`, `ConfigError`, `TokenError`, each a `ValueError` that says what is wrong.
"""
