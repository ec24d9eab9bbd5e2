import base64

import pytest

from ucam.rtsp.auth import Credentials, challenges, credentials, path, without_authority
from ucam.rtsp.errors import RTSPError
from ucam.rtsp.messages import Request

JWT = "eyJh.eyJz-_.c2ln"


def request(uri: str = "rtsps://h:8322/cam@x", authorization: str | None = None) -> Request:
    return Request(
        "ANNOUNCE", uri, () if not authorization else (("authorization", authorization),)
    )


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (request(authorization=f"Bearer {JWT}"), (JWT, "bearer")),
        (request(authorization=f"bearer  {JWT} "), (JWT, "bearer")),
        (request(authorization=basic(f"u:{JWT}")), (JWT, "basic")),
        (request(authorization=basic(f":{JWT}:x")), (f"{JWT}:x", "basic")),
        (request(f"rtsps://h/cam@x?token={JWT}"), (JWT, "query")),
        (request(f"rtsps://h/cam@x?a=b&auth={JWT}"), (JWT, "query")),
        (request(f"rtsps://h/cam@x?token={JWT}/streamid=0"), (JWT, "query")),
        (request(f"rtsp://h/cam@x/stream=0?token={JWT}"), (JWT, "query")),
        (request(f"rtsps://h/c?token={JWT}", f"Bearer {JWT}"), (JWT, "bearer")),
        (request(f"rtsps://h/c?token={JWT}&auth={JWT}/streamid=0"), (JWT, "query")),
    ],
)
def test_a_token_is_found(given: Request, expected: tuple[str, str]) -> None:
    assert credentials(given) == Credentials(*expected)


@pytest.mark.parametrize(
    "given",
    [
        request(),
        request(authorization="Bearer"),
        request(authorization="Digest username=x"),
        request(authorization="Basic %%%"),
        request(authorization="Basic /////w=="),
        request(authorization=basic("u:")),
        request("rtsps://h/cam@x?token="),
        request("rtsps://h/cam@x?mytoken=abc"),
    ],
)
def test_no_token(given: Request) -> None:
    assert credentials(given) is None


def test_no_repr_shows_a_token() -> None:
    assert JWT not in repr(Credentials(JWT, "basic"))


@pytest.mark.parametrize(
    "uri",
    [
        "rtsps://h:8322/cam001@studio.loc",
        "rtsp://h/cam001@studio.loc/",
        "rtsps://u:p@h/cam001%40studio.loc?token=a.b/streamid=0",
        "/cam001@studio.loc",
    ],
)
def test_the_path_is_the_jid(uri: str) -> None:
    assert path(uri) == "cam001@studio.loc"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("*", "*"),
        ("rtsp://h", ""),
        ("rtsp://h?x=://y", "?x=://y"),
        ("/a?u=rtsp://h/b", "/a?u=rtsp://h/b"),
    ],
)
def test_what_stands_behind_the_authority(uri: str, expected: str) -> None:
    assert without_authority(uri) == expected


def test_digest_is_never_offered() -> None:
    assert [value.split()[0] for _, value in challenges()] == ["Basic", "Bearer"]


@pytest.mark.parametrize(
    "given",
    [
        request(f"rtsps://h/c?token={JWT}", f"Bearer {JWT}2"),
        request(f"rtsps://h/c?token={JWT}", basic(f"u:{JWT}2")),
        request(f"rtsps://h/c?token={JWT}&token={JWT}2"),
        request(f"rtsps://h/c?token={JWT}&auth={JWT}2"),
        Request(
            "DESCRIBE",
            "rtsps://h/c",
            (("Authorization", f"Bearer {JWT}"), ("authorization", f"Bearer {JWT}2")),
        ),
    ],
)
def test_two_that_disagree_are_neither_believed(given: Request) -> None:
    with pytest.raises(RTSPError) as error:
        credentials(given)
    assert error.value.status == 400
    assert JWT not in str(error.value)
