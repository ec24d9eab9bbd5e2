import re
from typing import Any

import pytest

from storage.helpers import PLACE, START_US, Store
from storage.playback.scenes import Scene, document


@pytest.fixture
def scene(store: Store) -> Scene:
    store.record(50)
    return Scene(store)


async def test_each_route_is_described_and_each_described_route_exists(scene: Scene) -> None:
    described = document(await scene.get("/schema"))
    operations = {
        (method.upper(), path) for path, methods in described["paths"].items() for method in methods
    }
    routes = {(route.described.method, route.described.path) for route in scene.handler.routes}
    assert operations == routes
    for method, path in operations:
        filled = path.replace("{jid}", PLACE.jid).replace("{id}", str(START_US))
        answer = await scene.get(filled, method=method)
        code = document(answer)["error"]["code"] if answer.status >= 400 else ""
        answer.close()
        assert code not in ("bad-method",), (method, path)
        assert answer.status < 500, (method, path)


async def test_it_is_sound(scene: Scene) -> None:
    described = document(await scene.get("/schema"))
    assert described["openapi"].startswith("3.1")
    names = []
    for path, methods in described["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["summary"]
            _parameters(path, operation)
    assert len(names) == len(set(names))


def _parameters(path: str, operation: dict[str, Any]) -> None:
    in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", path))
    assert all(
        p["required"] is (p["in"] == "path") for p in operation["parameters"] if "required" in p
    )
    assert all(p["description"] and p["schema"]["type"] for p in operation["parameters"])


async def test_another_method_is_told_apart_from_another_path(scene: Scene) -> None:
    assert (await scene.get("/cameras", method="DELETE")).status == 405
    assert (await scene.get("/camera", method="DELETE")).status == 404
