"""Settings: what the page says is what the program takes; everything else is refused by name."""

import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from app.home import Home
from app.settings import Settings, home_from, load, parse, parse_text
from evidence.errors import ConfigError

PAGE = (Path(__file__).parents[3] / "docs/settings.md").read_text("utf-8")


def models_in(annotation) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return [model for part in get_args(annotation) for model in models_in(part)]
    return []


def keys_of(model: type[BaseModel], prefix: str = "") -> dict[str, list]:
    """Every key with its defaults (one per kind of store)."""
    found: dict[str, list] = {}
    for name, field in model.model_fields.items():
        below = models_in(field.annotation)
        if below and not (prefix == "" and name == ""):
            for each in below:
                for key, defaults in keys_of(each, f"{prefix}{name}.").items():
                    found.setdefault(key, []).extend(defaults)
        if not below or name == "stores":
            found.setdefault(f"{prefix}{name}", []).append(field.default)
    return found


def documented() -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for key, default in re.findall(r"^\| `([a-z0-9_.]+)` \| ([^|]+) \|", PAGE, re.MULTILINE):
        rows.setdefault(key, []).append(default.strip().strip("`"))
    return rows


def test_every_key_is_documented_and_every_documented_key_exists():
    assert set(documented()) == set(keys_of(Settings))


def _shown(default: object) -> object:
    return str(default) if isinstance(default, Path) else getattr(default, "value", default)


def test_every_default_on_the_page_is_the_programs():
    for key, told in documented().items():
        if key == "storage.stores":
            continue
        actual = keys_of(Settings)[key]
        for text in told:
            if text == "required":
                assert PydanticUndefined in actual or key == "storage.stores.kind", key
            elif text == "none":
                assert None in actual
            else:
                value = tomllib.loads(f"value = {text}")["value"]
                shown = [list(map(str, d)) if isinstance(d, tuple) else _shown(d) for d in actual]
                assert value in shown, (key, value, shown)


@pytest.mark.parametrize("section", ["", "station", "database", "storage", "docks", "web", "backup"])
def test_an_unknown_key_is_refused_by_name(section):
    data = {"colour": "red"} if not section else {section: {"colour": "red"}}
    with pytest.raises(ConfigError, match="colour"):
        parse(data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"storage": {"stores": []}}, "first store must be local"),
        ({"storage": {"copies": 3}}, "only 2 stores"),
        ({"storage": {"copies": 0}}, "storage.copies"),
        ({"storage": {"stores": [{"kind": "tape", "name": "t"}]}}, "storage.stores"),
        (
            {"storage": {"copies": 2, "stores": [{"name": "one", "path": "a"}, {"name": "one", "path": "b"}]}},
            "stores",
        ),
        ({"storage": {"copies": 1, "stores": [{"kind": "local", "name": "UP", "path": "a"}]}}, "name"),
        ({"web": {"port": 70000}}, "web.port"),
        ({"web": {"port": "many"}}, "web.port"),
        ({"docks": {"clearing": "sometimes"}}, "docks.clearing"),
        ({"docks": {"streams_per_hub": 0}}, "docks.streams_per_hub"),
        ({"station": {"origin": "two words"}}, "station.origin"),
        ({"station": {"name": "a\nb"}}, "station.name"),
        ({"station": 7}, "station"),
    ],
)
def test_a_contradiction_or_a_value_out_of_range_is_refused_by_name(data, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        parse(data)


def test_a_bucket_cannot_be_the_first_store_nor_two_stores_have_one_name():
    bucket = {
        "kind": "s3", "name": "far", "endpoint": "https://s3.example", "bucket": "b", "access_key_file": "a",
        "secret_key_file": "s",
    }  # fmt: skip
    local = {"kind": "local", "name": "near", "path": "stores/near"}
    assert [store.name for store in parse({"storage": {"stores": [local, bucket]}}).storage.stores] == ["near", "far"]
    with pytest.raises(ConfigError, match="first store must be local"):
        parse({"storage": {"stores": [bucket, local]}})
    with pytest.raises(ConfigError, match="one name"):
        parse({"storage": {"stores": [local, {**local, "path": "elsewhere"}]}})


@pytest.mark.parametrize("content", [b"[station", b"\xff\xfe", b"[station]\nname = 1\n[station]\n", b"\x00"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, content):
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigError):
        load(tmp_path)


def test_a_folder_without_settings_is_no_home_and_the_way_to_one_is_told(tmp_path):
    with pytest.raises(ConfigError, match="is no Liuhen home") as caught:
        load(tmp_path)
    assert f"liuhen init --home {tmp_path}" in caught.value.todo


def test_the_home_is_the_option_else_the_variable_else_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("LIUHEN_HOME", str(tmp_path / "variable"))
    assert home_from(str(tmp_path / "option")) == tmp_path / "option"
    assert home_from(None) == tmp_path / "variable"
    monkeypatch.delenv("LIUHEN_HOME")
    with pytest.raises(ConfigError, match="no home given"):
        home_from(None)


@given(
    st.dictionaries(
        st.sampled_from(["station", "database", "storage", "docks", "web", "x"]),
        st.from_type(object)
        | st.dictionaries(
            st.text(max_size=8), st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2), max_size=3
        ),
        max_size=3,
    )
)
def test_whatever_stands_in_the_file_it_is_taken_or_refused_by_our_own_error(data):
    try:
        parse(data)
    except ConfigError:
        return


@given(st.text(max_size=200))
def test_whatever_text_the_file_holds_it_is_taken_or_refused_by_our_own_error(text):
    try:
        parse_text(text)
    except ConfigError:
        return


def test_paths_of_stores_are_taken_from_the_home_unless_they_are_absolute(tmp_path):
    home = Home(tmp_path)
    assert home.store_path(Path("stores/x")) == tmp_path / "stores/x"
    assert home.store_path(Path("/srv/x")) == Path("/srv/x")


@pytest.mark.parametrize("key", ["url", "jobs_url"])
@pytest.mark.parametrize(
    "address",
    ["postgresql://clerk:s3cret@db.example/app", "postgresql://db.example/app?user=clerk&password=s3cret",
     "postgresql://:s3cret@/app", "postgresql+psycopg://db.example/app?sslpassword=s3cret"],
)  # fmt: skip
def test_a_password_in_an_address_is_refused_and_not_repeated(key, address):
    with pytest.raises(ConfigError, match=f"database.{key}") as caught:
        parse({"database": {key: address}})
    assert "s3cret" not in caught.value.diagnostics()
    assert "passfile" in caught.value.todo


def test_an_address_that_names_a_password_file_is_taken():
    address = "postgresql://clerk@db.example/app?passfile=/etc/liuhen/db.pass"
    assert parse({"database": {"url": address}}).database.url == address


@pytest.mark.parametrize(
    "paths", [("s", "s"), ("s", "./s/"), ("s", "x/../s"), ("s", "s/inner"), ("s/inner", "s"), ("/d", "/d/../d/x")]
)
def test_two_stores_in_one_folder_are_refused(paths):
    stores = [{"kind": "local", "name": f"store-{n}", "path": path} for n, path in enumerate(paths)]
    with pytest.raises(ConfigError, match="one folder"):
        parse({"storage": {"stores": stores}})


def test_stores_side_by_side_are_taken_whatever_their_names_begin_with():
    stores = [{"kind": "local", "name": f"store-{n}", "path": path} for n, path in enumerate(("s", "s2", "/s"))]
    assert len(parse({"storage": {"stores": stores}}).storage.stores) == 3
