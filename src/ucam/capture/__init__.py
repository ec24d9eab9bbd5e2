"""The camera's side: pictures from GStreamer into the spool, to storage, and to who watches live.

camera (pipelines, runs) → spool → sender (storage);  camera → calls (viewers).
Errors: `SourceError`, `EncoderError`, `PipelineError` (each says what is wrong and what to do).
"""
