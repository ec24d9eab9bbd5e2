"""The peer: gst-rtsp-server from Python, taking RECORD over TLS into fragmented MP4 files.

`gst_server.py PORT FOLDER CERT KEY STREAMS` runs until it is killed.
"""

import sys
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402


def main(port: str, folder: str, cert: str, key: str, streams: str) -> None:
    """Serve cam0 … cam99."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    auth = GstRtspServer.RTSPAuth()
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(cert, key))
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "anonymous")
    auth.set_default_token(token)
    server.set_auth(auth)
    for number in range(int(streams)):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        factory.set_eos_shutdown(True)  # the last fragment is written, too
        location = Path(folder) / f"cam{number}.mp4"
        factory.set_launch(
            "( rtph264depay name=depay0 ! h264parse ! mp4mux fragment-duration=1000 "
            f"! filesink location={location} )"
        )
        permissions = {"media.factory.access": True, "media.factory.construct": True}
        structure = Gst.Structure.new_empty("anonymous")
        for name, value in permissions.items():
            structure.set_value(name, value)
        factory.add_role_from_structure(structure)
        server.get_mount_points().add_factory(f"/cam{number}@shop.loc", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:6])
