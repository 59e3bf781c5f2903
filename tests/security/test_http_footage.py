"""Footage at the browser's side: ranges, one entry per viewing, hostile names, identities nobody knows, the API's contract."""

from __future__ import annotations

import hashlib
import html
import json
from datetime import timedelta

import pytest

from api.dependencies import COOKIE
from api.security.csrf import HEADER
from api.web.units import local_time
from evidence.errors import BlobNotFoundError
from evidence.ids import RecordingId
from evidence.model import Actor
from evidence.ports import DockedDevice
from ingest import times
from ingest.board import DockBoard, DockCard
from support import footage
from support.web_home import HOSTILE, Visitor, WebHome

A = "/api/v1"


@pytest.fixture
def visitor(web: WebHome, officer: Actor) -> Visitor:
    return web.visitor(officer)


@pytest.fixture
def media(web: WebHome, visitor: Visitor) -> str:
    """The address a player gets for the officer's talk."""
    answer = visitor.post(f"{A}/recordings/{web.recordings['talk'].id}/viewings")
    assert answer.status_code == 200
    return str(answer.json()["url"])


BYTES = footage.talking_mp4().read_bytes()
SIZE = len(BYTES)


# --- ranges -----------------------------------------------------------------------------------------------------------
def test_without_a_range_the_whole_original_comes_byte_for_byte(web: WebHome, visitor: Visitor, media: str) -> None:
    answer = visitor.get(media)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == web.recordings["talk"].sha256.hex
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0), ("bytes=0-99", 0, 99), ("bytes=100-", 100, SIZE - 1), ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-500", SIZE - 500, SIZE - 1), (f"bytes=5-{SIZE * 9}", 5, SIZE - 1), (f"bytes=-{SIZE * 9}", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1), ("bytes=1048570-1048590", 1_048_570, 1_048_590),
    ],
)  # fmt: skip
def test_a_range_gives_exactly_its_bytes(visitor: Visitor, media: str, asked: str, first: int, last: int) -> None:
    answer = visitor.get(media, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == BYTES[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "asked", [f"bytes={SIZE}-", f"bytes={SIZE + 1}-{SIZE + 2}", "bytes=-0", "bytes=9999999999999999999-"]
)
def test_a_range_outside_is_refused_with_the_size(visitor: Visitor, media: str, asked: str) -> None:
    answer = visitor.get(media, headers={"range": asked})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6", "bytes=5-2", "bytes=a-b", "bytes=", "bytes=-", "items=0-1", "bytes=0-1-2", "bytes= 0-1",
        "bytes=0x0-0x5", "bytes=-1-5", "bytes=" + "9" * 400 + "-", "bytes=0-" + ",0-" * 2_000,
    ],
)  # fmt: skip
def test_many_ranges_and_nonsense_are_ignored_as_the_standard_allows(visitor: Visitor, media: str, asked: str) -> None:
    answer = visitor.head(media, headers={"range": asked})
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(SIZE)


def test_a_range_of_other_bytes_than_the_browser_has_is_not_mixed_in(visitor: Visitor, media: str) -> None:
    tag = visitor.head(media).headers["etag"]
    assert visitor.get(media, headers={"range": "bytes=0-9", "if-range": tag}).status_code == 206
    assert visitor.get(media, headers={"range": "bytes=0-9", "if-range": '"other"'}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_bytes_that_no_store_gives_are_not_said_to_be_there(
    web: WebHome, visitor: Visitor, media: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BlobNotFoundError("no store has it")

    monkeypatch.setattr(type(web.app.state.services.blobs), "open", gone)
    assert visitor.request(method, media).status_code == 404


# --- one viewing, one entry -------------------------------------------------------------------------------------------
def viewings(web: WebHome) -> int:
    return sum(
        entry["action"] == "recording.view" and entry["recording"] == web.recordings["talk"].id
        for entry in web.entries("access.allowed")
    )


def test_r18_a_viewing_is_one_entry_however_many_ranges_are_asked_for(web: WebHome, visitor: Visitor) -> None:
    before = viewings(web)
    url = visitor.post(f"{A}/recordings/{web.recordings['talk'].id}/viewings").json()["url"]
    for start in range(0, 2_000, 100):
        assert visitor.get(url, headers={"range": f"bytes={start}-{start + 99}"}).status_code == 206
    assert viewings(web) == before + 1


@pytest.mark.parametrize("change", ["none", "nonsense", "one character", "of another recording", "of another person"])
def test_r18_a_token_that_is_not_this_viewings_opens_a_new_entered_one(
    web: WebHome, visitor: Visitor, media: str, change: str
) -> None:
    path, _, token = media.partition("?viewing=")
    match change:
        case "none":
            token = ""
        case "nonsense":
            token = "zz.zz"
        case "one character":
            token = ("0" if token[9] != "0" else "1").join((token[:9], token[10:]))
        case "of another recording":
            hostile = visitor.post(f"{A}/recordings/{web.recordings['hostile'].id}/viewings").json()["url"]
            token = hostile.partition("?viewing=")[2]
        case _:
            reviewer = web.visitor(web.person("另一人", "legal_reviewer"))
            token = reviewer.post(path.replace("/media", "/viewings")).json()["url"].partition("?viewing=")[2]
    before = viewings(web)
    answer = visitor.get(path, params={"viewing": token}, headers={"range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (206, BYTES[:10])
    assert viewings(web) == before + 1


def test_r18_a_token_gives_no_right_to_somebody_who_may_not_watch(web: WebHome, media: str) -> None:
    auditor = web.visitor(web.person("审计", "auditor"))
    before = len(web.entries("access.denied"))
    assert auditor.get(media).status_code == 403
    assert web.visitor().get(media).status_code == 401
    denied = web.entries("access.denied")[before:]
    assert [(entry["action"], entry["recording"]) for entry in denied] == [
        ("recording.view", web.recordings["talk"].id)
    ]


# --- hostile names ----------------------------------------------------------------------------------------------------
def test_a_recording_named_like_a_script_is_text_everywhere(web: WebHome, visitor: Visitor) -> None:
    row = web.recordings["hostile"]
    assert row.name == HOSTILE
    leader = web.visitor(web.person("负责人", "unit_leader"))
    pages = [
        visitor.get("/recordings"), visitor.get(f"/recordings/{row.id}"), leader.get("/recordings", params={"text": HOSTILE}),
        visitor.get(f"/recordings/{row.id}", params={"lang": "en"}), visitor.get("/my"),
    ]  # fmt: skip
    for page in pages:
        assert page.status_code == 200
        assert "<img src=x" not in page.text
    assert html.escape(HOSTILE, quote=False).replace('"', "&#34;").replace("'", "&#39;") in pages[0].text
    told = visitor.get(f"{A}/recordings/{row.id}")
    assert told.headers["content-type"] == "application/json"
    assert told.json()["recording"]["name"] == HOSTILE


def test_hostile_words_of_a_query_come_back_as_text(web: WebHome) -> None:
    visitor = web.visitor(web.person("查询者", "unit_leader"))
    for name in ("text", "from", "state", "device", "cursor", "lang"):
        answer = visitor.get("/recordings", params={name: '"><script>alert(1)</script>'})
        assert answer.status_code in (200, 422), name
        assert "<script>alert" not in answer.text


# --- identities and paths nobody knows --------------------------------------------------------------------------------
UNKNOWN = RecordingId.new(1_700_000_000_000)
PATHS = ("", "/timeline", "/proof", "/media", "/pictures/poster")


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_recording_is_not_found_and_said_so_as_a_problem(visitor: Visitor, path: str) -> None:
    answer = visitor.get(f"{A}/recordings/{UNKNOWN}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 404
    assert problem["type"] == "urn:liuhen:problem:not-found"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "identity",
    [
        "nonsense",
        "rec_",
        "dev_" + "0" * 32,
        "rec_" + "g" * 32,
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "rec_\x00",
        "x" * 5_000,
    ],
)
def test_a_malformed_identity_is_refused_and_nothing_is_looked_up(visitor: Visitor, identity: str, path: str) -> None:
    answer = visitor.get(f"{A}/recordings/{identity}{path}".replace("\x00", "%00"))
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] in ("invalid-input", "not-found")
    assert "root:" not in answer.text


@pytest.mark.parametrize("kind", ["nonsense", "viewing2", "..%2fposter", "%00", "a" * 3_000])
def test_a_picture_that_does_not_exist_is_not_found(web: WebHome, visitor: Visitor, kind: str) -> None:
    answer = visitor.get(f"{A}/recordings/{web.recordings['talk'].id}/pictures/{kind}")
    assert answer.status_code == 404
    assert len(answer.text) < 500


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/%2e%2e/app.py", "/static/%2fetc%2fpasswd", "/static/vendor",
     "/static/..%5c..%5capp.py", "/static/%00"],
)  # fmt: skip
def test_no_path_leads_out_of_the_static_folder(web: WebHome, path: str) -> None:
    answer = web.visitor().get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{A}/docks/register", {"slot": "x", "unknown": 1}), (f"{A}/docks/register", {}),
        (f"{A}/docks/retry", {"slot": "x" * 300}),
        (f"{A}/units", {"name": 5}), (f"{A}/agents", {"name": "x", "unit": "nonsense"}), (f"{A}/session", ["a"]),
    ],
)  # fmt: skip
def test_a_body_of_another_form_is_refused_and_its_values_are_not_repeated(
    web: WebHome, path: str, body: object
) -> None:
    visitor = web.visitor(web.administrator)
    answer = visitor.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-input"
    assert "xxx" not in answer.text
    assert visitor.post(path, content=b"\xff\xfe{").status_code == 422


def test_a_time_without_its_zone_is_refused_instead_of_guessed(visitor: Visitor) -> None:
    assert visitor.get(f"{A}/recordings", params={"started_from": "2026-11-22T08:00:00"}).status_code == 422
    aware = {"started_from": "2026-11-22T08:00:00+08:00"}
    assert visitor.get(f"{A}/recordings", params=aware).status_code == 200
    assert visitor.get("/my", params={"day": "9999-12-31"}).status_code == 422
    for day in ("0001-01-01", "9999-12-31"):
        for name in ("from", "to"):
            assert visitor.get("/recordings", params={name: day}).status_code in (200, 422)
    assert visitor.get("/my", params={"day": "today"}).status_code == 422


# --- the contract -----------------------------------------------------------------------------------------------------
#: Names that programs of others are written against; they are added to and never renamed.
OPERATIONS = {
    "absence", "clearingStatus",
    "actOnMatter", "fileDocument", "listMatterKinds", "listMatters", "matterHistory", "matterRegister",
    "openDocument", "openMatter",
    "printMatter", "showMatter", "dossierPaper", "dossierTimeline", "listUnsorted", "showDossier",
    "classificationChoices", "classificationWorklist", "classifyRecordings", "flagRecordings", "holdKeeps",
    "planClassification",
    "previewRecordList", "proposeRecordList", "retractClassification", "tryOutHold",
    "addAgent", "addUnit", "changeDevice", "changePassword", "deactivateAgent", "dockEvents", "grantRole", "health",
    "copyRecording", "discPaper", "exportCase", "discsWaiting", "lastVerification", "listAgents",
    "listDevices", "listDocks", "listFindings", "listOffloads", "listRecordings", "listUnits", "logIn", "logOut",
    "openViewing", "publishedLog", "recordingDiscs", "recordingPicture", "recordingProof", "recordingRetention",
    "recordingTimeline",
    "registerDevice", "requestViewingCopy", "resetPassword", "retentionDue", "retentionList", "retryDock",
    "revokeRole", "showRecording", "startVerification",
    "statistics", "storage", "streamRecording", "transferAgent", "useRegister", "useRegisterFile",
    "verifyRecording", "whoAmI",
}  # fmt: skip


def test_the_openapi_document_is_sound_and_keeps_its_operations(web: WebHome) -> None:
    document = web.visitor().get(f"{A}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert set(names) == OPERATIONS
    assert all(operation["description"] for operation in operations)
    defined = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(_references(document)) <= defined
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Request"):
            assert schema["additionalProperties"] is False, name


def test_the_openapi_document_tells_how_refusals_look_and_what_a_request_carries(web: WebHome) -> None:
    document = web.visitor().get(f"{A}/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]  # no answer of ours has that form
    schemes = document["components"]["securitySchemes"]
    assert (schemes["session"]["in"], schemes["session"]["name"]) == ("cookie", COOKIE)
    assert (schemes["csrf"]["in"], schemes["csrf"]["name"].lower()) == ("header", HEADER)
    for path in document["paths"].values():
        for method, operation in path.items():
            refused = operation["responses"]["default"]["content"]["application/problem+json"]
            assert refused["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert "422" not in operation["responses"]
            if operation["operationId"] == "logIn":
                assert operation["security"] == []
            else:
                assert operation["security"] == [{"session": []} if method == "get" else {"session": [], "csrf": []}]
    told = document["components"]["schemas"]["Problem"]
    problem = web.visitor().get(f"{A}/recordings").json()
    assert set(told["required"]) <= set(problem) <= set(told["properties"])
    media = document["paths"][f"{A}/recordings/{{recording}}/media"]["get"]["responses"]
    assert {"200", "206", "416", "default"} == set(media)
    events = document["paths"][f"{A}/docks/events"]["get"]["responses"]["200"]["content"]
    assert list(events) == ["text/event-stream"]


def test_a_slot_of_the_wall_holds_what_the_document_says(web: WebHome) -> None:
    document = web.visitor().get(f"{A}/openapi.json").json()
    operator = web.visitor(web.person("采集员", "station_operator"))
    slots = operator.get(f"{A}/docks").json()["slots"]
    assert slots
    for slot in slots:
        assert set(slot) == set(document["components"]["schemas"]["SlotAnswer"]["properties"])


def test_a_start_that_was_corrected_is_said_to_be_and_the_recorders_own_time_stands_beside_it(
    web: WebHome, visitor: Visitor
) -> None:
    row = web.recordings["talk"]
    path = f"/recordings/{row.id}"
    assert row.started_source == times.UNCORRECTED  # a card tells no clock
    page = visitor.get(path, params={"lang": "en"}).text
    assert "Start, not corrected" in page
    assert 'data-clock="uncorrected"' in page
    assert "from the file name; the clock offset is not known" in page
    own = local_time(row.started_at)
    assert f"{own}<div" in page
    assert f'<dt>Start, recorder clock</dt><dd class="num">{own.removesuffix(" +08:00")}</dd>' in page
    with web.house.catalogue.begin() as uow:
        uow.offloads.update(row.offload, clock_known=True, clock_plausible=True, clock_offset_ms=90_000)
        uow.recordings.update(row.id, started_source=times.CORRECTED)
    try:
        page = visitor.get(path, params={"lang": "en"}).text
        assert "Start, corrected" in page
        assert 'data-clock="corrected"' in page
        assert 'data-offset-ms="90000"' in page
        ahead = local_time(row.started_at + timedelta(seconds=90)).removesuffix(" +08:00")
        assert f'<dt>Start, recorder clock</dt><dd class="num">{ahead}</dd>' in page
    finally:
        with web.house.catalogue.begin() as uow:
            uow.offloads.update(row.offload, clock_known=False, clock_plausible=True, clock_offset_ms=0)
            uow.recordings.update(row.id, started_source=row.started_source)


def test_r09_who_registers_a_recorder_chooses_among_their_own_units_and_persons(
    web: WebHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator of a docking station manages nobody and still says whose a recorder is: it decides who sees its footage."""
    card = DockCard(docked=DockedDevice("mtp", "1-2", "usb"), state="unregistered")
    monkeypatch.setattr(DockBoard, "cards", lambda *_: [card])
    own = web.units["执法一科"]
    mine = web.person("一科采集员", "station_operator", unit=own)
    member = web.house.administration.create_agent(web.administrator, name="一科队员", unit=own).agent
    web.house.administration.create_agent(web.administrator, name="二科队员", unit=web.units["执法二科"])
    page = web.visitor(mine).get("/devices").text
    form = page.split('action="/docks/register"')[1].split("</form>")[0]
    assert f'<option value="{own}">' in form
    assert f'<option value="{member.id}">' in form
    assert web.units["执法二科"] not in form
    assert "二科队员" not in form
    assert 'action="/docks/register"' not in web.visitor(web.person("审计", "auditor")).get("/devices").text


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["$ref"])] if "$ref" in node else []
        return own + [one for value in node.values() for one in _references(value)]
    return [one for value in node for one in _references(value)] if isinstance(node, list) else []


def test_an_answer_of_the_api_holds_what_its_document_says(web: WebHome, visitor: Visitor) -> None:
    document = web.visitor().get(f"{A}/openapi.json").json()
    schemas = document["components"]["schemas"]
    told = visitor.get(f"{A}/recordings/{web.recordings['talk'].id}").json()
    assert set(told) == set(schemas["RecordingDetailAnswer"]["properties"])
    assert set(told["recording"]) == set(schemas["RecordingAnswer"]["properties"])
    assert json.dumps(told, allow_nan=False)
    assert [copy["store"] for copy in told["copies"]] == ["primary", "second"]
    assert told["recording"]["sealed"] is True
