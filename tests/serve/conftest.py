import io
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import torch
from flask import Flask
from flask.testing import FlaskClient
from support import CARD, save_model, tiny

from gan_restore import serve
from gan_restore.inference import Compute, models, save_generator

DESCRIPTION = json.loads((Path(serve.__file__).parent / "openapi.json").read_text())


class Client(FlaskClient):
    """A client that checks each response against openapi.json."""

    def open(self, *args, **options):
        response = super().open(*args, **options)
        check(response)
        return response


def check(response) -> None:
    """A response is one that openapi.json describes."""
    parts = response.request.path.strip("/").split("/")
    if parts[:2] == ["api", "jobs"] and len(parts) > 2:
        parts[2] = "{id}"
    method = response.request.method.lower()
    described = DESCRIPTION["paths"].get("/" + "/".join(parts), {}).get(method)
    if described is None:
        return
    found = described["responses"][str(response.status_code)]
    if "$ref" in found:
        found = DESCRIPTION["components"]["responses"][found["$ref"].rpartition("/")[2]]
    assert (response.mimetype in found.get("content", {})) or not response.data, response.mimetype
    if response.is_json:
        schema = found["content"]["application/json"]["schema"]
        jsonschema.validate(response.json, schema | {"components": DESCRIPTION["components"]})


@pytest.fixture
def app(models_folder: Path) -> Flask:
    """The application with two small models: `clean`, which darkens the photo by a tenth, and `x2`."""
    recipe = tiny("pix2pix")
    generator = recipe.generator()
    torch.nn.init.constant_(generator.out.bias, -1.0)
    save_generator(models.MODELS / "clean.safetensors", generator, recipe, card=CARD)
    save_model("x2", tiny("srgan"))
    app = serve.create_app(Compute(device="cpu"), serve.Limits(megapixels=0.1, megabytes=1))
    app.test_client_class = Client
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def post(client: FlaskClient) -> Callable:
    """Send a photo, or a form with fields of other values."""

    def send(photo: bytes | None = None, name: str = "photo.png", to: str = "/api/restore", **fields):
        form = ({"model": "clean"} if to in ("/api/restore", "/api/jobs") else {}) | fields
        if photo is not None:
            form["photo"] = io.BytesIO(photo), name
        return client.post(to, data={name: value for name, value in form.items() if value is not None})

    return send
