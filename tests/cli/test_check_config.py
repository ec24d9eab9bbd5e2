from pathlib import Path

import pytest

from ucam.cli import main

CONFIG = Path(__file__).parent.parent.parent / "config"


@pytest.mark.parametrize("name", ["web", "storage", "capture"])
def test_a_good_file_prints_what_is_in_force(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(CONFIG / f"{name}.toml")]) == 0
    printed = capsys.readouterr().out
    assert {"web": 'link-validity = "10m"', "storage": 'maxspace = "500GB"'}.get(
        name, 'keyframe-interval = "1s"'
    ) in printed


def test_a_bad_file_is_told_with_key_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "web.toml"
    file.write_text((CONFIG / "web.toml").read_text().replace('"10m"', '"10 minutes"'))
    assert main(["check-config", str(file)]) == 1
    error = capsys.readouterr().err
    assert f"{file}:12: userauth.link-validity: " in error


def test_a_file_of_no_service_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[x]\n")
    assert main(["check-config", str(file)]) == 1
    assert "not recognised" in capsys.readouterr().err


def test_wrong_usage_is_status_2() -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["no-such-command"])
    assert exit_.value.code == 2


def test_the_password_of_redis_is_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "web.toml"
    text = (CONFIG / "web.toml").read_text()
    file.write_text(text + '\n[state]\nurl = "rediss://:secret@10.0.0.7:6379/0"\n')
    assert main(["check-config", str(file)]) == 0
    printed = capsys.readouterr().out
    assert 'state.url = "rediss://***@10.0.0.7:6379/0"' in printed
    assert "secret@" not in printed
