import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.base.jid import JID, JIDError


def test_parts_of_a_full_jid() -> None:
    jid = JID.parse("Cam001@Studio.LOC/tab-1")
    assert jid == "cam001@studio.loc/tab-1"
    assert (jid.local, jid.domain, jid.resource) == ("cam001", "studio.loc", "tab-1")
    assert jid.bare == "cam001@studio.loc"
    assert jid.bare.resource is None
    assert jid.bare.with_resource("x") == "cam001@studio.loc/x"


@pytest.mark.parametrize(
    "text",
    ["", "cam", "@x", "cam@", "cam@@x", "../x@y", ".cam@x", "cam@x/", "cam@x/../y", "cam@x/a/b"]
    + ["cam\0@x", "cam@x\n", "a" * 65 + "@x", "cam@-x", "cam@x..y", "käm@x", "a@" + "b" * 400],
)
def test_what_is_no_jid(text: str) -> None:
    with pytest.raises(JIDError):
        JID.parse(text)


def test_a_bare_jid_has_no_resource() -> None:
    with pytest.raises(JIDError, match="resource"):
        JID.parse_bare("cam@x/y")


@given(st.text(max_size=40))
def test_whatever_passes_is_a_safe_folder_name(text: str) -> None:
    try:
        jid = JID.parse(f"{text}@x.loc")
    except JIDError:
        return
    assert "/" not in jid.bare
    assert not jid.startswith(".")
    assert jid.isascii()
    assert jid.isprintable()
