from pathlib import Path

import pytest

from ucam.base import config as configuration
from ucam.base.service import Fault
from ucam.capture.config import CaptureConfig
from ucam.demo.files import State, cameras
from ucam.storage.config import StorageConfig
from ucam.web.config import WebConfig


def test_the_configurations_are_good_and_their_folder_is_its_owners(tmp_path: Path) -> None:
    state = State(tmp_path / "demo", 7070, 8322)
    found = cameras()
    with state.ours_alone():
        state.write_configs(found)
    assert state.folder.stat().st_mode & 0o777 == 0o700
    web = configuration.load(state.config("web"), WebConfig)
    assert len(web.locations["demo"].devices) == len(found) >= 3
    configuration.load(state.config("storage"), StorageConfig)
    for camera in found:
        assert configuration.load(state.config(camera.local), CaptureConfig).device.jid == (
            camera.jid
        )


def test_a_folder_holds_one_demo(tmp_path: Path) -> None:
    with (
        State(tmp_path, 1, 2).ours_alone(),
        pytest.raises(Fault, match="runs already"),
        State(tmp_path, 3, 4).ours_alone(),
    ):
        pass
    with State(tmp_path, 3, 4).ours_alone():
        pass


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fault, match="can't be used"), State(tmp_path / "file", 1, 2).ours_alone():
        pass
    state = State(tmp_path, 1, 2)
    (tmp_path / "log").touch()
    with state.ours_alone(), pytest.raises(Fault, match="log can't be written"):
        state.write_configs([])
