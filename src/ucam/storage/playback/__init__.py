"""Recordings to viewers: one set of resources, one handler; data channel and HTTPS in front."""
