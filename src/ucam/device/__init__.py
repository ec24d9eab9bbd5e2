"""What a camera and a storage share as devices: their token, the web's keys, the room.

Errors: `TokenFileError` (no usable token: the text says what to do), `KeysUnavailable`
(no key set, neither from the web application nor on disk).
"""
