"""All targets, by name; importing this imports what they drive."""

from fuzz import rtp_targets, rtsp_targets, spool_targets, storage_targets, word_targets
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    **rtsp_targets.TARGETS,
    **rtp_targets.TARGETS,
    **storage_targets.TARGETS,
    **spool_targets.TARGETS,
    **word_targets.TARGETS,
}
