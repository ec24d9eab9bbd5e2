import pytest

from ucam.base.units import ChunkSize, Duration, Listen, Rate, Size, StateUrl, WebUrl


def test_sizes() -> None:
    assert Size.parse("64MB") == 64_000_000
    assert Size.parse("1GiB") == 2**30
    assert Size.parse("1.5 GB") == 1_500_000_000
    assert str(Size.parse("500GB")) == "500GB"
    assert str(Size.parse("20MB")) == "20MB"


def test_durations() -> None:
    assert Duration.parse("2h") == 7200.0
    assert Duration.parse("500ms") == 0.5
    assert str(Duration.parse("90s")) == "90s"
    assert str(Duration.parse("30d")) == "30d"


def test_rates() -> None:
    assert Rate.parse("2Mbit/s") == 2_000_000
    assert str(Rate.parse("800kbit/s")) == "800kbit/s"


def test_a_chunk_is_a_duration_or_a_size() -> None:
    assert ChunkSize.parse("60s").duration == 60.0
    assert ChunkSize.parse("64MB").size == 64_000_000
    with pytest.raises(ValueError, match="duration"):
        ChunkSize.parse("64")


def test_addresses() -> None:
    assert (Listen.parse("[::]:7070").host, Listen.parse("[::]:7070").port) == ("::", 7070)
    assert WebUrl.parse("https://cams.example.com/") == "https://cams.example.com"


@pytest.mark.parametrize("kind", [Size, Duration, Rate])
@pytest.mark.parametrize("text", ["", "5", "MB", "-1MB", "1 parsec", "1e3s", 5, None, "∞"])
def test_what_is_not_understood_says_what_would_be_right(kind: type, text: object) -> None:
    with pytest.raises(ValueError, match="write it as"):
        kind.parse(text)  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["7070", ":7070", "a:b", "x:99999", "::1:70", 7070])
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(ValueError, match="listen"):
        Listen.parse(text)


@pytest.mark.parametrize("text", ["x", "ftp://x", "https://", "https://x/y", "https://x?y", None])
def test_what_is_no_web_url(text: object) -> None:
    with pytest.raises(ValueError, match="not usable"):
        WebUrl.parse(text)


@pytest.mark.parametrize("host", ["cams.example.com", "9.9.9.9", "[2a00:1450::1]", "x.local.eu"])
def test_tokens_go_through_the_internet_by_tls_alone(host: str) -> None:
    assert WebUrl.parse(f"https://{host}") == f"https://{host}"
    with pytest.raises(ValueError, match="without TLS"):
        WebUrl.parse(f"http://{host}")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "192.168.1.7:7070",
        "100.101.2.3",
        "ucam",
        "nas.local",
        "web.shop.loc",
        "[fd00::1]",
    ],
)
def test_in_ones_own_network_it_is_ones_own_choice(host: str) -> None:
    assert WebUrl.parse(f"http://{host}") == f"http://{host}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite", "sqlite"),
        ("redis://localhost", "redis://localhost"),
        ("redis://:pass%2Fword@10.0.0.1:6379/0", "redis://***@10.0.0.1:6379/0"),
        ("rediss://user:secret@[::1]:6379/3", "rediss://***@[::1]:6379/3"),
    ],
)
def test_the_states_address_is_shown_without_password(text: str, shown: str) -> None:
    url = StateUrl.parse(text)
    assert url.url == text
    assert str(url) == shown
    assert "secret" not in repr(url)
    assert url == StateUrl.parse(text)
    assert url.is_sqlite == (text == "sqlite")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SQLite",
        "redis://",
        "redis://:secret@host:6379/zero",
        "redis://:secret@host:port",
        "redis://:secret@host/0?db=1",
        "http://:secret@host",
        7,
    ],
)
def test_what_is_no_address_of_a_state_is_told_without_repeating_it(text: object) -> None:
    with pytest.raises(ValueError, match="rediss://") as error:
        StateUrl.parse(text)
    assert "secret" not in str(error.value)
