"""What several tests use: a whole installation on loopback, publishers, ffprobe, Chromium."""
